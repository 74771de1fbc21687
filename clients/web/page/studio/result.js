/** The prompt as it is now: written or being written, with what was added and why; to copy and to edit by hand. */
import { html, useState } from "../vendor/htm-preact.js";
import { Fault, Field, Icon, copy } from "../lib/parts.js";
import { segments } from "./segments.js";

/** `words`: what useWords gives. */
export function Result({ words }) {
  const { writing, text, fault, dismiss, draft, edit, clear } = words;
  const [editing, setEditing] = useState(false);
  const byHand = !draft.written || editing;
  return html`<section class="card result" aria-labelledby="result-title" aria-busy=${String(writing)}>
    <header class="result__head">
      <h2 id="result-title">Prompt</h2>
      ${!writing && draft.written && html`<span class="soft small">by ${whoOf(draft.written)} for ${draft.written.model || draft.written.family}</span>`}
    </header>
    ${fault && html`<div class="result__fault"><${Fault} error=${fault} /><button type="button" class="button button--small" onClick=${dismiss}>Dismiss</button></div>`}
    ${writing
      ? html`<p class="result__text result__text--going">${text}<span class="caret" aria-hidden="true"></span></p>`
      : byHand
        ? html`<${ByHand} draft=${draft} edit=${edit} />`
        : html`<${Told} draft=${draft} />`}
    <p class="unseen" role="status">${writing ? "The prompt is being written." : draft.written && !editing ? "The prompt is written." : ""}</p>
    ${!writing && html`<${Acts} draft=${draft} clear=${clear} editing=${editing} setEditing=${setEditing} />`}
    ${!writing && draft.written && html`<${Why} written=${draft.written} />`}
  </section>`;
}

const whoOf = (written) => (written.by === "rules" ? "the rules" : written.by);

function ByHand({ draft, edit }) {
  return html`<div class="stack">
    <${Field} label="Prompt" hideLabel as="textarea" rows="5" maxlength="20000" value=${draft.prompt} onInput=${(event) => edit({ prompt: event.currentTarget.value })}
      hint=${draft.written ? undefined : "Empty: your words are drawn as they stand."} />
    <${Field} label="Negative prompt" as="textarea" rows="2" maxlength="20000" class="result__negative" value=${draft.negative}
      onInput=${(event) => edit({ negative: event.currentTarget.value })} />
  </div>`;
}

function Told({ draft: { prompt, negative, written } }) {
  const edited = prompt !== written.result;
  const parts = segments(prompt, written.added ?? []);
  const some = parts.some((part) => part.added);
  return html`<p class="result__text" data-prompt>
      ${parts.map((part) => (part.added ? html`<span class="added">${part.text}</span>` : part.text))}
    </p>
    ${negative && html`<p class="result__not"><span class="field__label">Negative prompt</span><span data-negative>${negative}</span></p>`}
    <${Meter} written=${written} />
    <p class="soft small">
      ${some && html`<span class="added">Underlined</span>${" is what was added to your words. "}`}${edited && "Edited by hand."}
    </p>`;
}

/** How much of what the family's encoder reads well is used. */
function Meter({ written: { tokens = 0, budget } }) {
  if (!tokens) return null;
  const told = budget ? `${tokens} of ${budget} tokens` : `${tokens} tokens`;
  return html`<div class="meter">
    ${budget && html`<span class=${`meter__bar ${tokens > budget ? "meter__bar--over" : ""}`} role="meter" aria-label="Length" aria-valuemin="0"
      aria-valuemax=${budget} aria-valuenow=${Math.min(tokens, budget)} aria-valuetext=${told}
      ><span style=${{ width: `${Math.min(100, (100 * tokens) / budget)}%` }}></span></span>`}
    <span class="soft small">${told}</span>
  </div>`;
}

function Acts({ draft, clear, editing, setEditing }) {
  if (!draft.prompt && !draft.written) return null;
  return html`<div class="row">
    <button type="button" class="button button--small" onClick=${() => copy(draft.prompt, "The prompt was copied.")}><${Icon} name="copy" />Copy</button>
    ${draft.negative && html`<button type="button" class="button button--small" onClick=${() => copy(draft.negative, "The negative prompt was copied.")}><${Icon} name="copy" />Copy negative</button>`}
    ${draft.written && html`<button type="button" class="button button--small" aria-pressed=${String(editing)} onClick=${() => setEditing(!editing)}>Edit by hand</button>`}
    <button type="button" class="button button--small button--quiet" onClick=${() => (setEditing(false), clear())}>Clear</button>
  </div>`;
}

function Why({ written: { changes = [], notes = [] } }) {
  if (!changes.length && !notes.length) return null;
  return html`${notes.length > 0 && html`<ul class="result__notes">${notes.map((note) => html`<li key=${note}>${note}</li>`)}</ul>`}
    ${changes.length > 0 &&
    html`<details class="result__why">
      <summary>${changes.length === 1 ? "One change" : `${changes.length} changes`}, and why</summary>
      <dl>
        ${changes.map((one, at) => html`<div key=${at}><dt>${one.what}</dt><dd class="soft">${one.why}</dd></div>`)}
      </dl>
    </details>`}`;
}
