// Files on their way into the gallery: dropped or picked, sent one after the other, and what became of them.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { upload } from "../lib/api.js";
import { Icon, IconButton, toast } from "../lib/parts.js";
import { counted } from "./acts.js";

const NOTHING = { names: [], done: 0, share: 0, taken: 0, faults: [] };
const KINDS = { png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", webp: "image/webp", gif: "image/gif",
  mp4: "video/mp4", webm: "video/webm", mkv: "video/x-matroska" };
export const PICTURES = [...new Set(Object.values(KINDS))].join();
const OTHER = "is no picture that can be added: PNG, JPEG, WebP, MP4, WebM or animated GIF.";

/** Have these files taken in; whoever shows Arrivals does it. */
export const take = (files) => dispatchEvent(new CustomEvent("atelier:files", { detail: [...files] }));

/** `hear()` when pictures have come. Returns the function that ends it. */
export function onArrival(hear) {
  addEventListener("atelier:arrived", hear);
  return () => removeEventListener("atelier:arrived", hear);
}

/** Where one sees them come; the shell has one, as files can be dropped on every part of the page. */
export function Arrivals() {
  const [state, setState] = useState(NOTHING);
  const { add, stop } = useQueue(setState);
  const over = useDrop(add);
  const busy = state.done < state.names.length;
  const shut = () => setState(NOTHING);
  return [
    over && html`<div key="drop" class="dropzone" aria-hidden="true"><p><${Icon} name="upload" />Drop to add to the gallery</p></div>`,
    (busy || state.faults.length > 0) && html`<${Told} key="told" state=${state} busy=${busy} stop=${stop} shut=${shut} />`,
  ];
}

function Told({ state: { names, done, share, taken, faults }, busy, stop, shut }) {
  const whole = names.length ? (done + share) / names.length : 0;
  const title = busy ? (names.length > 1 ? `Adding ${done + 1} of ${names.length}` : "Adding a picture") : `${counted(taken)} added, ${faults.length} not`;
  return html`<section class="arrivals" aria-label="Pictures being added">
    <header><strong role="status">${title}</strong>
      ${busy ? html`<button type="button" class="button button--small button--quiet" onClick=${stop}>Stop</button>`
        : html`<${IconButton} icon="close" label="Close" class="button--small button--quiet" onClick=${shut} />`}
    </header>
    ${busy && html`<progress max="1" value=${whole} aria-label="How much is sent"></progress><p class="arrivals__name soft small">${names[done]}</p>`}
    ${faults.length > 0 && html`<ul class="arrivals__faults small" role="alert">${faults.map(({ name, message }) => html`<li key=${name}><strong>${name}</strong> ${message}</li>`)}</ul>`}
  </section>`;
}

/** {add(files), stop()}: files that are added meanwhile wait behind the others. */
function useQueue(setState) {
  const queue = useRef({ files: [], running: null });
  const run = async () => {
    const { signal } = (queue.current.running = new AbortController());
    const taken = [];
    const faults = [];
    for (let file = queue.current.files.shift(); file; file = queue.current.files.shift()) {
      const fault = await sentOne(file, signal, (share) => setState((last) => ({ ...last, share })));
      if (signal.aborted) break;
      if (fault) faults.push({ name: file.name, message: fault.message });
      else taken.push(file.name);
      setState((last) => ({ ...last, done: last.done + 1, share: 0, faults: [...faults] }));
    }
    queue.current = { files: [], running: null };
    setState({ ...NOTHING, taken: taken.length, faults });
    if (taken.length) dispatchEvent(new CustomEvent("atelier:arrived"));
    if (taken.length && !faults.length) toast(`${counted(taken.length)} added.`);
  };
  const add = (files) => {
    if (!files.length) return;
    queue.current.files.push(...files);
    setState((last) => ({ ...last, names: [...last.names, ...files.map((file) => file.name)], faults: queue.current.running ? last.faults : [] }));
    if (!queue.current.running) run();
  };
  return { add, stop: () => queue.current.running?.abort() };
}

/** What kept a file from coming in; null when it came. */
async function sentOne(file, signal, sent) {
  const kind = file.type || KINDS[file.name.split(".").pop().toLowerCase()];
  if (!PICTURES.split(",").includes(kind)) return new Error(OTHER);
  return upload(file, kind, { signal, sent }).then(() => null, (fault) => fault);
}

/** Whether files are held over the page; `add` gets those that are dropped on it or picked. */
function useDrop(add) {
  const [over, setOver] = useState(false);
  const latest = useRef(add);
  latest.current = add;
  useEffect(() => {
    let depth = 0;
    const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    const held = (by) => setOver((depth = Math.max(0, depth + by)) > 0);
    const drop = (event) => {
      held(-depth);
      if (!hasFiles(event) || event.defaultPrevented) return;
      event.preventDefault();
      latest.current([...event.dataTransfer.files]);
    };
    const all = {
      dragenter: (event) => hasFiles(event) && (event.preventDefault(), held(1)),
      dragleave: (event) => hasFiles(event) && held(-1),
      dragover: (event) => hasFiles(event) && event.preventDefault(),
      drop,
      "atelier:files": (event) => latest.current(event.detail),
    };
    for (const [name, listener] of Object.entries(all)) addEventListener(name, listener);
    return () => Object.entries(all).forEach(([name, listener]) => removeEventListener(name, listener));
  }, []);
  return over;
}
