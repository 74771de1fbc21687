// The keys, told.

import { html } from "../vendor/htm-preact.js";
import { Dialog } from "../lib/parts.js";

const KEYS = [
  ["Everywhere", [["/", "Search"], ["?", "This list"], ["z", "Undo what was deleted last"]]],
  ["On the wall", [
    ["← → ↑ ↓", "From picture to picture"], ["Home End", "First, last"], ["Enter", "Open"], ["x", "Select"], ["⇧ x", "Select up to here"],
    ["f", "Favourite"], ["t", "Tag what is selected"], ["Del", "Delete"], ["Esc", "Select nothing"],
  ]],
  ["At a picture", [
    ["← →", "Previous, next"], ["f", "Favourite"], ["c", "Compare"], ["r", "Make again, changed"], ["d", "Download"],
    ["+ − 0", "Zoom in, out, whole"], ["1", "One to one"], ["Del", "Delete"], ["Esc", "Back to the wall"],
  ]],
];

export function Help({ onClose }) {
  return html`<${Dialog} title="Keys" onClose=${onClose}>
    <div class="keys">
      ${KEYS.map(([title, rows]) => html`<section key=${title}>
        <h3>${title}</h3>
        <dl>${rows.map(([keys, told]) => html`<div key=${told}><dt>${keys.split(" ").map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${told}</dd></div>`)}</dl>
      </section>`)}
    </div>
  <//>`;
}
