/** The conversation about a prompt: its turns, and the next message. */
import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { Field, Icon } from "../lib/parts.js";
import { Send, sentBy } from "./compose.js";

const HINTS = ["a lighthouse at dusk", "add a storm", "without the boat", "make it a watercolour"];

/** `words`: what useWords gives. */
export function Talk({ words }) {
  const { turns, said, writing, say, stop, anew } = words;
  const [message, setMessage] = useState("");
  const send = async (event) => {
    event.preventDefault();
    const text = message.trim();
    if (writing || !text) return;
    setMessage("");
    if (!(await say(text))) setMessage((now) => now || text);
  };
  return html`<div class="talk">
    <${Turns} words=${words} />
    <form class="stack" onSubmit=${send} onKeyDown=${sentBy(send)}>
      <${Field} label=${turns.length ? "What to change" : "What the picture shows"} as="textarea" rows="2" maxlength="8000" required value=${message}
        onInput=${(event) => setMessage(event.currentTarget.value)} />
      <${Send} word="Send" writing=${writing && said !== null} empty=${!message.trim()} stop=${stop}>
        ${turns.length > 0 && html`<button type="button" class="button button--quiet talk__anew" disabled=${writing} onClick=${anew}><${Icon} name="again" />Begin anew</button>`}
      <//>
    </form>
  </div>`;
}

function Turns({ words }) {
  const { turns, said, text, take, written } = words;
  const log = useRef(null);
  useEffect(() => {
    log.current.scrollTop = log.current.scrollHeight;
  }, [turns.length, said, text]);
  if (!turns.length && said === null) return html`<div ref=${log} class="talk__hint soft small"><p>Say what you want to see, then what to change: ${HINTS.map((hint) => `“${hint}”`).join(", ")}.</p></div>`;
  return html`<div class="talk__turns" ref=${log} tabindex="0" role="log" aria-label="Conversation">
    <ol>
      ${turns.map((turn) => html`<${Turn} key=${turn.key} turn=${turn} current=${turn.answer.result === written?.result} take=${take} />`)}
      ${said !== null &&
      html`<li key="now" class="turn">
        <p class="turn__said">${said}</p>
        <p class="turn__reply turn__reply--going" aria-busy="true">${text || "…"}</p>
      </li>`}
    </ol>
  </div>`;
}

/** What was changed; the prompt itself, with which replies begin, is shown in its own place. */
function replied({ reply = "", result, changes = [] }) {
  const more = reply.startsWith(result) ? reply.slice(result.length).trim() : reply;
  const done = changes.map((one) => one.what).join("; ") || "written";
  return [`${done.charAt(0).toUpperCase()}${done.slice(1)}.`, more];
}

function Turn({ turn: { message, answer }, current, take }) {
  const { reset, result } = answer;
  const [done, more] = replied(answer);
  return html`<li class="turn">
    <p class="turn__said">${message}</p>
    <div class="turn__reply">
      ${reset && html`<p class="soft small">Begun anew: ${reset}.</p>`}
      <p>${done}</p>
      ${more && html`<p class="soft small">${more}</p>`}
      ${current
        ? html`<p class="turn__prompt soft small">This is the prompt now.</p>`
        : html`<details class="turn__prompt"><summary>Its prompt</summary><p>${result}</p>
            <button type="button" class="button button--small" onClick=${() => take(answer)}>Take this one</button></details>`}
    </div>
  </li>`;
}
