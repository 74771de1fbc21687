/** What the lists of presets are made of. */
import { html } from "../vendor/htm-preact.js";
import { Fault, Spinner } from "../lib/parts.js";
import { pickOf } from "./picks.js";

/** What a list shows until it is there, and when it cannot be had. */
export function Fetched({ asked, children }) {
  if (asked.error) return html`<${Fault} error=${asked.error} onRetry=${asked.again} />`;
  if (asked.value === undefined) return html`<${Spinner} label="Loading presets" />`;
  return children(asked.value);
}

/** A preset to be picked and put back. */
export function PresetButton({ row, group = "", picks }) {
  const pressed = picks.has(row.path);
  return html`<button type="button" class="chip" aria-pressed=${String(pressed)} title=${row.text}
    disabled=${picks.full && !pressed} onClick=${() => picks.toggle(pickOf(row, group))}>
    <span class="chip__text">${row.name}</span>${row.dates && html`<span class="chip__more">${row.dates}</span>`}
  </button>`;
}

/** A question with its options; of some groups several go together. `owner`: what the group belongs to. */
export function Group({ group, picks, owner = "" }) {
  const rival = group.several ? "" : [owner, group.id].filter(Boolean).join("/");
  return html`<fieldset class="group">
    <legend>${group.name}<span class="group__how">${group.several ? "any number" : "one"}</span></legend>
    <div class="chips">
      ${group.options.map((row) => html`<${PresetButton} key=${row.path} row=${row} group=${rival} picks=${picks} />`)}
    </div>
  </fieldset>`;
}
