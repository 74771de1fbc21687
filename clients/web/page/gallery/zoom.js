// The large picture: wheel, pinch and keys enlarge it about the pointer, dragging moves it.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/htm-preact.js";
import { imageUrl, onReach } from "../lib/api.js";
import { IconButton, Icon } from "../lib/parts.js";

const MOST = 16;
const STEP = 1.35;
const PREVIEW_EDGE = 1024;
const whole = { scale: 1, x: 0, y: 0 };

/** `handle` gets {zoom(factor), reset(), full()} for the keys of the page around it. */
export function Zoom({ info, handle }) {
  const frame = useRef(null);
  const picture = useRef(null);
  const [view, setView] = useState(whole);
  const src = useSharp(info);
  const [failed, setFailed] = useState(false);
  const points = useRef(new Map());
  useEffect(() => {
    setView(whole);
    setFailed(false);
  }, [info.image_id]);

  useEffect(() => onReach((there) => there && setFailed(false)), []);

  const about = (factor, at) => setView((last) => held(zoomed(last, factor, at ?? { x: 0, y: 0 }), frame.current, picture.current));
  const full = () => about(oneToOne(info, picture.current) / view.scale);
  const reset = () => setView(whole);
  handle.current = { zoom: (steps) => about(STEP ** steps), reset, full };
  useWheel(frame, about);

  const down = (event) => {
    if (event.button || event.target.closest("button")) return;
    points.current.set(event.pointerId, centred(event, frame.current));
    if (view.scale > 1 || points.current.size > 1) frame.current.setPointerCapture(event.pointerId);
  };
  const move = (event) => {
    const before = points.current.get(event.pointerId);
    if (!before) return;
    const now = centred(event, frame.current);
    const other = [...points.current].find(([id]) => id !== event.pointerId)?.[1];
    points.current.set(event.pointerId, now);
    if (other) about(apart(now, other) / Math.max(1, apart(before, other)), between(now, other));
    else setView((last) => (last.scale > 1 ? held({ ...last, x: last.x + now.x - before.x, y: last.y + now.y - before.y }, frame.current, picture.current) : last));
  };
  const up = (event) => points.current.delete(event.pointerId);
  const turn = (event) => !event.target.closest("button") && (view.scale > 1 ? reset() : about(oneToOne(info, picture.current), centred(event, frame.current)));

  const style = { "--ratio": info.width / info.height, "--full": `${Math.max(info.width, 480)}px`, transform: `translate(${view.x}px, ${view.y}px) scale(${view.scale})` };
  return html`<div class=${`zoom${view.scale > 1 ? " zoom--in" : ""}`} ref=${frame} onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerCancel=${up} onDblClick=${turn}>
    ${failed ? html`<div class="empty"><${Icon} name="warn" /><h2>The picture's file could not be shown</h2><p>It may be missing from the store, or the server does not answer.</p></div>`
      : html`<img class="zoom__picture" ref=${picture} src=${src} alt=${info.prompt || "Picture without words"} style=${style} draggable=${false} width=${info.width} height=${info.height} onError=${() => setFailed(true)} />`}
    <div class="zoom__tools">
      <${IconButton} icon="minus" label="Smaller" class="button--small" disabled=${view.scale <= 1} onClick=${() => about(1 / STEP)} />
      <button type="button" class="button button--small" aria-pressed=${String(view.scale > 1)} onClick=${() => (view.scale > 1 ? reset() : full())}>${view.scale > 1 ? "Whole" : "1 : 1"}</button>
      <${IconButton} icon="plus" label="Larger" class="button--small" onClick=${() => about(STEP)} />
    </div>
  </div>`;
}

/** The preview first, the original as soon as the browser has it. */
function useSharp(info) {
  const preview = imageUrl(info.image_id, PREVIEW_EDGE);
  const [sharp, setSharp] = useState(null);
  useEffect(() => {
    setSharp(null);
    if (Math.max(info.width, info.height) <= PREVIEW_EDGE) return undefined;
    const loader = new Image();
    let current = true;
    loader.src = imageUrl(info.image_id);
    loader.decode().then(() => current && setSharp(info.image_id), () => {});
    return () => {
      current = false;
      loader.src = "";
    };
  }, [info.image_id]);
  return sharp === info.image_id ? imageUrl(info.image_id) : preview;
}

function useWheel(frame, about) {
  const latest = useRef(about);
  latest.current = about;
  useLayoutEffect(() => {
    const element = frame.current;
    const turn = (event) => {
      event.preventDefault();
      latest.current(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0022)), centred(event, element));
    };
    element.addEventListener("wheel", turn, { passive: false });
    return () => element.removeEventListener("wheel", turn);
  }, []);
}

/** Zoomed by that factor so that the point stays under the pointer. Points are from the middle of the frame. */
export function zoomed(view, factor, at) {
  const scale = Math.min(MOST, Math.max(1, view.scale * factor));
  const by = scale / view.scale;
  return { scale, x: at.x - (at.x - view.x) * by, y: at.y - (at.y - view.y) * by };
}

// Never so far that the picture leaves its frame.
function held(view, frame, picture) {
  if (view.scale <= 1.001 || !picture) return whole;
  const most = (size, room) => Math.max(0, (size * view.scale - room) / 2);
  const x = most(picture.offsetWidth, frame.clientWidth);
  const y = most(picture.offsetHeight, frame.clientHeight);
  return { ...view, x: Math.min(x, Math.max(-x, view.x)), y: Math.min(y, Math.max(-y, view.y)) };
}

const oneToOne = (info, picture) => Math.max(1.5, info.width / (window.devicePixelRatio || 1) / (picture?.offsetWidth || info.width));
const apart = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);
const between = (a, b) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });

function centred(event, frame) {
  const box = frame.getBoundingClientRect();
  return { x: event.clientX - box.left - box.width / 2, y: event.clientY - box.top - box.height / 2 };
}
