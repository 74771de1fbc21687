// The wall: rows of pictures of which only those near the window are in the page, however many there are.

import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/htm-preact.js";
import { onReach } from "../lib/api.js";
import { isForPage } from "../lib/keys.js";
import { Plan } from "./layout.js";
import { heightFor, onElement, onWall } from "./reach.js";
import { Tile } from "./tile.js";

const MARGIN = 0.75; // windows above and below that are drawn too
const AHEAD = 96; // places that are fetched before they come near
const FAST = 2.5; // windows a frame-to-frame second: pictures are drawn once it is slower than that
const LEAP = 2; // windows at once: the scroll bar was moved, not the wall
const SETTLED = 110; // milliseconds of stillness that end a fast scroll

/** `handle` gets {reveal(place), focus(place)}. `pick(place, {range, only})` and `open(item)` are called by what one does. */
export function Wall({ shelf, version, scale, current, setCurrent, selection, pick, open, acts, params, active, handle }) {
  const box = useRef(null);
  box.lift ??= 0; // how much lower a place is on the wall than in the element that stands for it
  const width = useWidth(box);
  const plan = usePlan(shelf, version, width, scale, box);
  const view = useView(box, plan, shelf, version);
  const focusPlace = useRef(-1);
  const focused = useRef("");
  const rows = plan ? visibleRows(plan, shelf, view) : [];
  const held = plan && rowWith(plan, shelf, current);
  if (held && !rows.some((row) => row.key === held.key)) rows.push(held);

  const reveal = (place) => plan && scrollToRow(box, plan, rowAt(plan, shelf, place));
  const focus = (place) => {
    const goal = Math.max(0, Math.min(shelf.total - 1, place));
    setCurrent(goal);
    focusPlace.current = goal;
    shelf.want(goal - AHEAD / 2, goal + AHEAD);
    reveal(goal);
    land();
  };
  // The tile may come only after its row was drawn, or its page fetched: then the next drawing lands on it.
  const land = () => {
    const item = shelf.at(focusPlace.current);
    const link = item && box.current?.querySelector(`[data-id="${CSS.escape(item.image_id)}"] .photo__link`);
    if (!link) return;
    focusPlace.current = -1;
    link.focus({ preventScroll: true });
    focused.current = item.image_id;
  };
  handle.current = { reveal, focus };

  useLayoutEffect(() => {
    // A tile that was moved in the page by a drawing lost the focus thereby.
    if (focusPlace.current < 0 && focused.current && document.activeElement === document.body) focusPlace.current = shelf.placeOf(focused.current);
    land();
  });
  useKeys({ active, box, shelf, plan, current, focus, pick, acts, selection });

  useEffect(() => onReach((there) => there && tryAgain(box.current)), []);

  const press = (event) => pressed(event, { shelf, selection, pick, open, setCurrent });
  return html`<div class="wall" role="list" aria-label="Pictures" ref=${box} onClick=${press}
    onfocusin=${(event) => (focused.current = event.target.closest(".photo__link") ? event.target.parentElement.dataset.id : "")}
    onfocusout=${(event) => event.relatedTarget && (focused.current = "")} onPointerDown=${() => (focused.current = "")} style=${{ height: `${plan ? heightFor(plan.height) : 0}px` }}>
    ${rows.flatMap((row) => row.tiles).map((tile) => {
      const item = shelf.at(tile.place);
      return html`<${Tile} key=${item?.image_id ?? `place-${tile.place}`} item=${item} place=${tile.place} total=${shelf.total} box=${{ ...tile, top: tile.top - view.lift }}
        current=${tile.place === current} selected=${Boolean(item && selection.has(item.image_id))} selecting=${selection.size > 0}
        fast=${view.fast} params=${params} deleted=${shelf.filters.deleted} />`;
    })}
  </div>`;
}

/** Previews that failed to come while the server did not answer. */
function tryAgain(wall) {
  for (const picture of wall?.querySelectorAll("img.is-broken") ?? []) {
    picture.classList.remove("is-broken");
    picture.src = picture.getAttribute("src");
  }
}

function useWidth(box) {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const measure = () => box.current?.clientWidth && setWidth(box.current.clientWidth);
    const watch = new ResizeObserver(measure);
    watch.observe(box.current);
    measure();
    return () => watch.disconnect();
  }, []);
  return width;
}

/** The layout, kept such that what one looks at stays where it is when rows above it change their height. */
function usePlan(shelf, version, width, scale, box) {
  const kept = useRef(null);
  const shift = useRef(0);
  const plan = useMemo(() => {
    if (!width) return null;
    const last = kept.current;
    const same = last?.shelf === shelf && last.width === width && last.scale === scale;
    const next = same ? last.plan : new Plan(width, scale);
    const anchor = last?.shelf === shelf && box.current ? anchorOf(last.plan, box) : null;
    next.update(shelf);
    kept.current = { shelf, width, scale, plan: next };
    shift.current = anchor ? (next.tops[anchor.block] ?? 0) + (same ? 0 : anchor.share * next.laid(shelf.blocks[anchor.block]).height - anchor.into) - anchor.top : 0;
    return next;
  }, [shelf, version, width, scale]);
  useLayoutEffect(() => {
    if (!shift.current) return;
    const by = shift.current;
    shift.current = 0;
    scrollBy({ top: by, behavior: "instant" });
  });
  return plan;
}

function anchorOf(plan, box) {
  const from = windowIn(box).top;
  if (from <= 0 || !plan.tops.length) return null;
  const block = plan.blockAt(from);
  const top = plan.tops[block];
  const height = (plan.tops[block + 1] ?? plan.height) - top;
  return { block, top, into: from - top, share: height ? (from - top) / height : 0 };
}

/** What of the wall is in the window. */
const windowIn = (box) => {
  const top = inElement(box) + box.lift;
  return { top, bottom: top + innerHeight };
};

const inElement = (box) => -box.current.getBoundingClientRect().top;

/** Have that height of the wall at the top of the window. */
function scrollToHeight(box, plan, top) {
  const goal = onElement(top, plan.height);
  box.lift = top - goal;
  scrollBy({ top: goal - inElement(box), behavior: "instant" });
}

/** {top, bottom, fast}: the part of the wall that is drawn. Changes only when the rows in it do. */
function useView(box, plan, shelf, version) {
  const [view, setView] = useState({ top: 0, bottom: innerHeight * 2, lift: 0, fast: false, mark: "" });
  const last = useRef({ top: 0, inside: 0, time: 0, timer: 0, frame: 0 });
  const look = (still) => {
    if (!box.current || !plan) return;
    lifted(box, plan, last.current.inside, still);
    const seen = windowIn(box);
    const now = performance.now();
    const moved = Math.abs(seen.top - last.current.top) / innerHeight / Math.max(8, now - last.current.time) * 1000;
    const fast = !still && moved > FAST;
    Object.assign(last.current, { top: seen.top, inside: seen.top - box.lift, time: now });
    clearTimeout(last.current.timer);
    if (fast || (!still && box.lift)) last.current.timer = setTimeout(() => look(true), SETTLED);
    const room = innerHeight * MARGIN;
    const next = { top: seen.top - room, bottom: seen.bottom + room, fast };
    const rows = visibleRows(plan, shelf, next);
    if (!rows.length) return;
    if (!fast) shelf.want(rows[0].tiles[0].place - AHEAD / 2, rows.at(-1).tiles.at(-1).place + AHEAD);
    const mark = `${rows[0].key} ${rows.at(-1).key} ${fast} ${box.lift}`;
    setView((before) => (before.mark === mark ? before : { ...next, lift: box.lift, mark }));
  };
  const lookNow = useRef(look);
  lookNow.current = look;
  useEffect(() => {
    const follow = () => {
      last.current.frame ||= requestAnimationFrame(() => {
        last.current.frame = 0;
        lookNow.current(false);
      });
    };
    addEventListener("scroll", follow, { passive: true });
    addEventListener("resize", follow);
    return () => {
      removeEventListener("scroll", follow);
      removeEventListener("resize", follow);
      cancelAnimationFrame(last.current.frame);
      clearTimeout(last.current.timer);
    };
  }, []);
  useLayoutEffect(() => lookNow.current(!view.fast), [plan, version, shelf]);
  return view;
}

/** After a leap of the scroll bar, and when all is still, a place of the element stands for its own place of the wall. */
function lifted(box, plan, before, still) {
  const inside = inElement(box);
  if (plan.height === heightFor(plan.height)) box.lift = 0;
  else if (Math.abs(inside - before) > LEAP * innerHeight) box.lift = onWall(inside, plan.height) - inside;
  else if (still && Math.abs(onElement(inside + box.lift, plan.height) - inside) > 1) scrollToHeight(box, plan, inside + box.lift);
}

/** Rows that touch the view, each {key, tiles: [{place, left, top, width, height}]}. */
function visibleRows(plan, shelf, { top, bottom }) {
  const found = [];
  for (let number = plan.blockAt(top); number < shelf.blocks.length && plan.tops[number] <= bottom; number += 1) {
    const block = shelf.blocks[number];
    plan.laid(block).rows.forEach((row, index) => {
      const at = plan.tops[number] + row.top;
      if (at + row.height >= top && at <= bottom) found.push(placed(row, number, index, block.start, at));
    });
  }
  return found;
}

function placed(row, number, index, start, top) {
  const tiles = row.tiles.map((tile) => ({ place: start + tile.offset, left: tile.left, top, width: tile.width, height: row.height }));
  return { key: `${number}.${index}.${start + row.tiles[0].offset}`, top, height: row.height, number, index, tiles };
}

function rowAt(plan, shelf, place) {
  let number = 0;
  while (number < shelf.blocks.length - 1 && shelf.blocks[number + 1].start <= place) number += 1;
  const block = shelf.blocks[number];
  if (!block) return null;
  const rows = plan.laid(block).rows;
  const index = rows.findIndex((row) => row.tiles.some((tile) => block.start + tile.offset === place));
  return index < 0 ? null : placed(rows[index], number, index, block.start, plan.tops[number] + rows[index].top);
}

const rowWith = (plan, shelf, place) => (shelf.at(place) ? rowAt(plan, shelf, place) : null);

function scrollToRow(box, plan, row) {
  if (!row) return;
  const head = document.querySelector(".topbar")?.offsetHeight ?? 0;
  const seen = windowIn(box);
  const above = row.top - 64 - (seen.top + head);
  const below = row.top + row.height + 24 - seen.bottom;
  if (above < 0) scrollToHeight(box, plan, seen.top + above);
  else if (below > 0) scrollToHeight(box, plan, seen.top + below);
}

function pressed(event, { shelf, selection, pick, open, setCurrent }) {
  const tile = event.target.closest(".photo[data-id]");
  if (!tile || event.button) return;
  const place = shelf.placeOf(tile.dataset.id);
  const picks = event.target.closest("[data-pick]") || selection.size > 0 || event.shiftKey;
  if ((event.ctrlKey || event.metaKey) && !event.target.closest("[data-pick]") && !selection.size) return; // a new tab
  event.preventDefault();
  setCurrent(place);
  if (picks) pick(place, { range: event.shiftKey });
  else open(shelf.at(place));
}

/** Where an arrow leads from a place. */
function neighbour(plan, shelf, place, key) {
  if (key === "ArrowLeft") return place - 1;
  if (key === "ArrowRight") return place + 1;
  if (key === "Home") return 0;
  if (key === "End") return shelf.total - 1;
  const row = rowAt(plan, shelf, place);
  const here = row.tiles.find((tile) => tile.place === place);
  const middle = here.left + here.width / 2;
  const other = rowAt(plan, shelf, key === "ArrowUp" ? row.tiles[0].place - 1 : row.tiles.at(-1).place + 1);
  if (!other) return place;
  const far = (tile) => Math.abs(tile.left + tile.width / 2 - middle);
  return other.tiles.reduce((best, tile) => (far(tile) < far(best) ? tile : best)).place;
}

const MOVES = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"]);

function useKeys({ active, box, shelf, plan, current, focus, pick, acts, selection }) {
  const press = (event) => {
    if (!active || !plan || !isForPage(event)) return;
    const within = box.current.contains(document.activeElement);
    const act = keyAct(event, within, selection.size > 0, acts, pick, current);
    if (act) act();
    else if (MOVES.has(event.key) && within) focus(neighbour(plan, shelf, current, event.key));
    else return;
    event.preventDefault();
  };
  const latest = useRef(press);
  latest.current = press;
  useLayoutEffect(() => {
    const listen = (event) => latest.current(event);
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);
}

function keyAct(event, within, selecting, acts, pick, current) {
  if (event.key === "Escape" && selecting) return acts.clear;
  if (!within && !selecting) return null;
  if (event.key === "x" && within) return () => pick(current, {});
  if (event.key === "X" && within) return () => pick(current, { range: true });
  if (event.key === "f") return acts.favourite;
  if (event.key === "t" && selecting) return acts.tag;
  if (event.key === "Delete" || event.key === "Backspace") return acts.remove;
  return null;
}
