/** JobsPanel: what the studio is drawing now and what it drew lately, beside every page. */
import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { IconButton } from "../lib/parts.js";
import { JobCard } from "./card.js";
import { isOver } from "./watch.js";

export { JobCard } from "./card.js";

const isNow = (row) => !isOver(row.status) || row.status === "interrupted";

/** The job that is shown whole without being asked for: the one at work, else none. */
const foremost = (rows) => rows.find((row) => row.status === "running" && row.here !== false)?.job_id ?? null;

/** `jobs`: their rows, newest first. `open`: whether it is shown; `onClose` is called when it wants to be closed. */
export function JobsPanel({ open, onClose, jobs }) {
  if (!open) return null;
  return html`<${Drawer} onClose=${onClose} jobs=${jobs} />`;
}

function Drawer({ onClose, jobs }) {
  const head = useRef(null);
  const [chosen, choose] = useState(undefined);
  const last = useRef(null); // the one that was at work stays open when it is done: its picture is what one waited for
  last.current = foremost(jobs) ?? last.current;
  const shown = chosen === undefined ? last.current : chosen;
  useEffect(() => takeFocus(head.current), []);
  useEffect(() => {
    const press = (event) => event.key === "Escape" && !event.defaultPrevented && !document.querySelector("dialog[open]") && onClose();
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [onClose]);
  return html`<aside class="drawer" aria-labelledby="jobs-title">
    <header class="drawer__head">
      <h2 id="jobs-title" ref=${head} tabindex="-1">Jobs</h2>
      <${IconButton} icon="close" label="Close jobs" class="button--quiet" onClick=${onClose} />
    </header>
    ${jobs.length ? html`<${Groups} jobs=${jobs} shown=${shown} choose=${choose} />` : html`<${Idle} />`}
  </aside>`;
}

/** Into the panel, and back to where it was when the panel goes. */
function takeFocus(head) {
  const before = document.activeElement;
  head.focus({ preventScroll: true });
  return () => before?.isConnected && before.focus({ preventScroll: true });
}

function Groups({ jobs, shown, choose }) {
  const groups = [
    ["Now", jobs.filter(isNow)],
    ["Lately", jobs.filter((row) => !isNow(row))],
  ].filter(([, rows]) => rows.length);
  const toggle = (id) => choose(shown === id ? null : id);
  return html`<div class="drawer__body">
    ${groups.map(
      ([title, rows]) => html`<section key=${title} aria-label=${title}>
        <h3 class="drawer__title">${title}</h3>
        <ul class="jobs">
          ${rows.map(
            (row) => html`<li key=${row.job_id}>
              <${JobCard} row=${row} open=${shown === row.job_id} onToggle=${() => toggle(row.job_id)} onJob=${choose} />
            </li>`,
          )}
        </ul>
      </section>`,
    )}
  </div>`;
}

function Idle() {
  return html`<div class="drawer__body drawer__idle">
    <p class="soft">Nothing was drawn yet.</p>
    <a class="button" href="#/studio">Open the studio</a>
  </div>`;
}
