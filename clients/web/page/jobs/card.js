/** JobCard: one job as it is now, from its place in the queue to the picture and what the judges said of it. */
import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { imageUrl, isReachable, onReach } from "../lib/api.js";
import { Icon, tellFault, toast } from "../lib/parts.js";
import { hashOf } from "../lib/route.js";
import { again, order, ordered, stop, vary } from "./acts.js";
import { picturesOf, reasonOf, scoreOf, standing, stateOf, verdictOf, withoutFolders } from "./told.js";
import { isOver, useJob } from "./watch.js";

const PREVIEW_EDGE = 640;
const SMALL_EDGE = 320;

/**
 * `row`: the job's line in the list of jobs. `open`: all of it is shown, and it is followed. `onToggle`: opens and
 * closes it; without one it stays. `onJob(id)`: another job was begun from this one.
 */
export function JobCard({ row, open = true, onToggle, onJob = () => {} }) {
  const here = row.here !== false;
  const { progress, preview, answer, fault, lost } = useJob(open ? row.job_id : null, !isOver(row.status));
  const status = answer?.status ?? row.status;
  const now = progress ?? row;
  const shown = { row, status, answer, now, preview, here };
  return html`<article class=${`job job--${status} ${open ? "job--open" : ""}`} data-job=${row.job_id} tabindex="-1" aria-label=${`Job: ${row.prompt}`}>
    ${open && html`<${Picture} ...${shown} />`}
    <div class="job__body">
      <${Head} ...${shown} open=${open} onToggle=${onToggle} />
      ${!isOver(status) && html`<${Going} now=${now} status=${status} />`}
      ${open && lost && html`<p class="job__note" role="status">The connection was lost. Trying again.</p>`}
      ${open && fault && html`<p class="job__note">${withoutFolders(fault.message)}</p>`}
      ${open && status === "failed" && html`<${Failure} answer=${answer} row=${row} />`}
      ${open && status === "interrupted" && html`<p class="job__note">${answer?.next ?? withoutFolders(row.message)}</p>`}
      ${open && status === "success" && html`<${Verdict} ...${shown} />`}
      ${!here && !isOver(status) && html`<p class="job__note">Another Atelier process runs it; it is stopped there.</p>`}
      <${Actions} ...${shown} open=${open} onJob=${onJob} />
    </div>
  </article>`;
}

function Head({ row, status, answer, open, onToggle }) {
  const first = picturesOf(answer, row)[0];
  const told = html`
    ${!open && first && html`<${Shown} class="job__thumb" id=${first.image_id} edge=${SMALL_EDGE} alt="" />`}
    <span class="job__words">
      <span class="job__prompt">${row.prompt || row.task}</span>
      <span class="job__state"><${StateMark} status=${status} passed=${first?.passed} />${row.engine && html`<span>${row.engine}</span>`}</span>
    </span>`;
  if (!onToggle) return html`<div class="job__head">${told}</div>`;
  return html`<button type="button" class="job__head" aria-expanded=${String(open)} onClick=${onToggle}>${told}</button>`;
}

function StateMark({ status, passed }) {
  if (status !== "success") return html`<span class=${`mark mark--${status}`}>${stateOf(status)}</span>`;
  const { kind, word, icon } = verdictOf(passed);
  return html`<span class=${`mark mark--${kind}`}><${Icon} name=${icon} />${word}</span>`;
}

function Going({ now, status }) {
  const known = now.fraction > 0 ? { value: now.fraction } : {};
  const percent = `${Math.round((now.fraction ?? 0) * 100)} %`;
  return html`<div class="job__going">
    <progress class="bar" max="1" ...${known} aria-label="Progress" aria-valuetext=${percent}>${percent}</progress>
    <p class="job__told">${withoutFolders(standing(now).join(" · ")) || stateOf(status)}</p>
  </div>`;
}

function Picture({ row, status, answer, preview }) {
  const pictures = picturesOf(answer, row);
  if (pictures.length) return html`<${Finished} pictures=${pictures} prompt=${row.prompt} />`;
  if (isOver(status)) return null;
  return html`<figure class="job__picture job__picture--going">
    ${preview ? html`<img class="job__glimpse" src=${preview} alt="The picture as it develops" />` : html`<span class="job__veil" aria-hidden="true"></span>`}
  </figure>`;
}

function Finished({ pictures, prompt }) {
  const shape = pictures.length > 1 ? "job__picture job__picture--several" : "job__picture";
  const edge = pictures.length > 1 ? SMALL_EDGE : PREVIEW_EDGE;
  return html`<figure class=${shape}>
    ${pictures.map(
      (one) => html`<a key=${one.image_id} href=${hashOf(`/image/${one.image_id}`)}>
        <${Shown} id=${one.image_id} edge=${edge} alt=${prompt} />
      </a>`,
    )}
  </figure>`;
}

/** A picture of the gallery; words in its place where it is there no more. */
function Shown({ id, edge, alt, class: name }) {
  const [gone, setGone] = useState(false);
  useEffect(() => (gone ? onReach((there) => there && setGone(false)) : undefined), [gone]);
  if (gone) return html`<span class=${name ?? "job__gone"}>${alt && (isReachable() ? "The picture is no longer there." : "The server does not answer.")}</span>`;
  return html`<img class=${name} src=${imageUrl(id, edge)} alt=${alt} onError=${() => setGone(true)} />`;
}

function Verdict({ row, answer }) {
  const [first] = picturesOf(answer, row);
  if (!first) return html`<p class="job__note">${answer?.next ?? "Its picture was deleted from the gallery."}</p>`;
  const reason = reasonOf(answer);
  const attempts = answer?.attempts?.length > 1 ? `attempt ${answer.attempt} of ${answer.attempts.length}` : "";
  const facts = [scoreOf(first.score), attempts, answer?.metadata?.model].filter(Boolean);
  return html`<div class="job__verdict">
    ${reason && html`<p>${withoutFolders(reason)}</p>`}
    ${answer?.warning && answer.warning !== reason && html`<p>${withoutFolders(answer.warning)}</p>`}
    ${facts.length > 0 && html`<p class="job__told">${facts.join(" · ")}</p>`}
  </div>`;
}

function Failure({ answer, row }) {
  const message = answer?.error?.message ?? row.error;
  return html`<div class="job__failure" role="alert">
    <p>${withoutFolders(message)}</p>
    ${answer?.next && html`<p class="job__told">${answer.next}</p>`}
  </div>`;
}

function Actions({ row, status, answer, here, open, onJob }) {
  const [busy, setBusy] = useState(false);
  const [first] = picturesOf(answer, row);
  const act = (what) => (event) => {
    const card = event.currentTarget.closest(".job");
    setBusy(true);
    what()
      .catch(tellFault)
      .finally(() => {
        setBusy(false);
        if (document.activeElement === document.body) card.focus({ preventScroll: true }); // the button is gone
      });
  };
  const begin = (what) => act(async () => onJob(await what()));
  const halt = act(async () => toast((await stop(row.job_id)).message));
  if (!isOver(status) || status === "interrupted")
    return here && html`<div class="job__acts"><button type="button" class="button" disabled=${busy} onClick=${halt}><${Icon} name="stop" />Stop</button></div>`;
  if (!open) return null;
  const body = ordered(row.job_id);
  if (!first && !body) return null;
  return html`<div class="job__acts">
    ${first && html`<a class="button" href=${hashOf(`/image/${first.image_id}`)}>Look closer</a>`}
    ${first && html`<button type="button" class="button" disabled=${busy} onClick=${begin(() => again(first.image_id))}><${Icon} name="again" />Again</button>`}
    ${first && html`<button type="button" class="button" disabled=${busy} onClick=${begin(() => vary(first.image_id))}><${Icon} name="alike" />Vary</button>`}
    ${!first && body && html`<button type="button" class="button" disabled=${busy} onClick=${begin(() => order(body))}><${Icon} name="again" />Try again</button>`}
  </div>`;
}
