/** Presets of the user's own: kept, picked, removed. */
import { html, useRef, useState } from "../vendor/htm-preact.js";
import { send } from "../lib/api.js";
import { Field, IconButton, tellFault, toast, useAsync } from "../lib/parts.js";
import { Fetched, PresetButton } from "./pieces.js";
import * as shelf from "./shelf.js";

const KINDS = [
  ["style", "Style"],
  ["artist", "Artist"],
  ["composition", "Composition"],
  ["lighting", "Lighting"],
];
const EMPTY = { kind: "style", name: "", text: "", negative: "" };

const ownRows = async () => (await shelf.flat()).flatMap(({ rows }) => rows.filter((row) => row.own));

export function Own({ picks }) {
  const asked = useAsync(ownRows, []);
  const changed = () => {
    shelf.forgetFlat();
    asked.again();
  };
  return html`<div class="stack">
    <${Fetched} asked=${asked}>${(rows) => html`<${Rows} rows=${rows} picks=${picks} changed=${changed} />`}<//>
    <${Adding} changed=${changed} />
  </div>`;
}

function Rows({ rows, picks, changed }) {
  if (!rows.length) return html`<p class="soft small">None yet. Words that you use often can be kept here under a name.</p>`;
  return html`<ul class="own">
    ${rows.map(
      (row) => html`<li key=${row.path}>
        <${PresetButton} row=${row} picks=${picks} /><span class="own__text">${row.text}</span>
        <${IconButton} icon="trash" label=${`Remove ${row.name}`} class="button--quiet button--small" onClick=${() => removed(row, picks, changed)} />
      </li>`,
    )}
  </ul>`;
}

async function removed(row, picks, changed) {
  const again = { kind: row.kind, name: row.name, text: row.text, negative: row.negative ?? "" };
  try {
    await send("DELETE", `/presets/${encodeURIComponent(row.kind)}/${encodeURIComponent(row.id)}`);
  } catch (fault) {
    return tellFault(fault);
  }
  picks.remove(row.path);
  changed();
  const undo = () => send("POST", "/presets", again).then(changed, tellFault);
  toast(`${row.name} was removed.`, { action: "Undo", onAction: undo });
}

function Adding({ changed }) {
  const [preset, setPreset] = useState(EMPTY);
  const [fault, setFault] = useState(null);
  const first = useRef(null);
  const set = (name) => (event) => setPreset({ ...preset, [name]: event.currentTarget.value });
  const add = async (event) => {
    event.preventDefault();
    try {
      const row = await send("POST", "/presets", preset);
      toast(`${row.name} is kept.`);
      setPreset({ ...EMPTY, kind: preset.kind });
      setFault(null);
      changed();
      first.current.querySelector("input").focus();
    } catch (error) {
      setFault(error);
    }
  };
  return html`<form class="own__form" onSubmit=${add} ref=${first}>
    <div class="fields">
      <${Field} label="Name" required maxlength="80" value=${preset.name} onInput=${set("name")} />
      <${Field} label="Kind" as="select" value=${preset.kind} onChange=${set("kind")}>
        ${KINDS.map(([id, title]) => html`<option value=${id}>${title}</option>`)}
      <//>
    </div>
    <${Field} label="Words that it adds" required maxlength="1000" value=${preset.text} onInput=${set("text")}
      hint="Descriptors with commas: blue ink wash, paper grain" />
    <${Field} label="Words that it rules out" maxlength="1000" value=${preset.negative} onInput=${set("negative")} error=${fault?.message} />
    <button type="submit" class="button">Keep preset</button>
  </form>`;
}
