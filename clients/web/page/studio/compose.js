/** Where one says what one wants to see: in one go, or message by message; and for which model, and by whom. */
import { html, useEffect, useRef } from "../vendor/htm-preact.js";
import { Chip, Field, Icon, useAsync } from "../lib/parts.js";
import { get } from "../lib/api.js";
import { Talk } from "./talk.js";

const MODES = [
  ["quick", "Quick"],
  ["chat", "Chat"],
];

/** `words`: what useWords gives. `picks`: what usePicks gives. */
export function Compose({ words, picks }) {
  const { mode, setMode } = words;
  return html`<section class="card compose" aria-labelledby="compose-title">
    <header class="compose__head">
      <h2 id="compose-title">Words</h2>
      <div class="switch" role="group" aria-label="How to write">
        ${MODES.map(
          ([id, title]) => html`<button key=${id} type="button" aria-pressed=${String(mode === id)} onClick=${() => setMode(id)}>${title}</button>`,
        )}
      </div>
    </header>
    ${mode === "quick" ? html`<${Quick} words=${words} />` : html`<${Talk} words=${words} />`}
    <${Picked} picks=${picks} />
    <${For} words=${words} />
  </section>`;
}

function Quick({ words }) {
  const { subject, setSubject, avoid, setAvoid, writing, quick, stop } = words;
  const send = (event) => {
    event.preventDefault();
    if (!writing && subject.trim()) quick();
  };
  return html`<form class="stack" onSubmit=${send} onKeyDown=${sentBy(send)}>
    <${Field} label="What the picture shows" as="textarea" rows="3" maxlength="8000" required value=${subject}
      onInput=${(event) => setSubject(event.currentTarget.value)} />
    <${Field} label="What it must not show" maxlength="8000" value=${avoid} onInput=${(event) => setAvoid(event.currentTarget.value)} />
    <${Send} word="Write the prompt" writing=${writing} empty=${!subject.trim()} stop=${stop} />
  </form>`;
}

/** A button that sends, and one that stops what was sent. */
export function Send({ word, writing, empty, stop, children }) {
  const halt = useRef(null);
  const go = useRef(null);
  const was = useRef(false);
  useEffect(() => {
    // The button that had the focus is gone; its successor takes it.
    const lost = document.activeElement === document.body;
    if (was.current !== writing && lost) (writing ? halt : go).current?.focus();
    was.current = writing;
  }, [writing]);
  return html`<div class="row">
    ${writing
      ? html`<button key="stop" ref=${halt} type="button" class="button" onClick=${stop}><${Icon} name="stop" />Stop</button>`
      : html`<button key="go" ref=${go} type="submit" class="button button--main" aria-disabled=${empty ? "true" : undefined}><${Icon} name="spark" />${word}</button>`}
    <span class="soft small compose__keys"><kbd>Ctrl</kbd> <kbd>Enter</kbd></span>
    ${children}
  </div>`;
}

/** Ctrl or Command with Enter sends from within a text. */
export const sentBy = (send) => (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send(event);
};

function Picked({ picks: { picks, remove, clear, full } }) {
  const list = useRef(null);
  if (!picks.length) return null;
  const drop = (path, at) => {
    remove(path);
    const rest = list.current.querySelectorAll("button");
    (rest[at + 1] ?? rest[at - 1])?.focus();
  };
  return html`<div class="picked">
    <p class="field__label">Presets${full && ", as many as go together"}</p>
    <ul class="chips" aria-label="Picked presets" ref=${list}>
      ${picks.map(
        ({ path, name }, at) => html`<li key=${path}><${Chip} onRemove=${() => drop(path, at)} removeLabel=${`Remove ${name}`}>${name}<//></li>`,
      )}
      ${picks.length > 1 && html`<li key=""><button type="button" class="button button--quiet button--small" onClick=${clear}>Remove all</button></li>`}
    </ul>
  </div>`;
}

/** For which family of models it is written, and who writes. */
function For({ words }) {
  const { family, setFamily, writer, setWriter } = words;
  const { value, error } = useAsync(() => get("/models"), []);
  const models = value?.models ?? [];
  const families = value?.families ?? [];
  return html`<div class="pair">
    <${Field} label="Write for" as="select" value=${family} onChange=${(event) => setFamily(event.currentTarget.value)}>
      <option value="auto">What suits it</option>
      ${families.map(({ name, title }) => html`<option key=${name} value=${name}>${title}</option>`)}
    <//>
    <${Field} label="Written by" as="select" value=${writer} onChange=${(event) => setWriter(event.currentTarget.value)} hint=${error?.message}>
      <option value="auto">Automatic</option>
      <option value="rules">The rules</option>
      ${(models.length > 0 || writer === "model") && html`<option value="model">The language model</option>`}
      ${models.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
    <//>
  </div>`;
}
