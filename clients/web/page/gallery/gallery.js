// The gallery: the wall with its search, filters, selection and trash, and the picture that lies open above it.

import { html, useCallback, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { get, imageUrl } from "../lib/api.js";
import { onNews } from "../lib/live.js";
import { Fault, Icon, IconButton, Spinner } from "../lib/parts.js";
import { go, hashOf } from "../lib/route.js";
import { changeAll, counted, isPending, onChange, remove, restore } from "./acts.js";
import { PICTURES, onArrival, take } from "./arrivals.js";
import { Detail } from "./detail.js";
import { FilterChips, FilterPanel, SORTS, asked, filtersOf, nothing } from "./filters.js";
import { SelectionBar } from "./selection.js";
import { COUNTED, Shelf } from "./shelf.js";
import { Wall } from "./wall.js";

const NEWS_WAIT = 500;
const SIZES = [
  { name: "small", icon: "sizeSmall", scale: 0.72 },
  { name: "medium", icon: "sizeMedium", scale: 1 },
  { name: "large", icon: "sizeLarge", scale: 1.5 },
];

/** The shelf of these filters. The last one stays until the first page of the new one is there. */
function useShelf(filters) {
  const key = JSON.stringify(filters);
  const [state, setState] = useState({ shelf: null, key: "", fault: null });
  const [version, setVersion] = useState(0);
  const [round, setRound] = useState(0);
  const shown = useRef(null);
  useEffect(() => {
    const shelf = new Shelf(asked(filters));
    let current = true;
    shelf.open().then(
      () => {
        if (!current) return;
        shown.current?.close();
        shown.current = shelf;
        shelf.onChange = () => setVersion((last) => last + 1);
        scrollTo({ top: 0, behavior: "instant" });
        setState({ shelf, key, fault: null });
      },
      (fault) => current && fault.name !== "AbortError" && setState((last) => ({ ...last, key, fault })),
    );
    return () => {
      current = false;
      if (shown.current !== shelf) shelf.close();
    };
  }, [key, round]);
  const again = useCallback(() => setRound((last) => last + 1), []);
  return { ...state, version, again, stale: state.key !== key };
}

/** How many pictures came (or went, below 0) since the shelf was opened. */
function useNewcomers(shelf, again) {
  const [count, setCount] = useState(0);
  useEffect(() => {
    setCount(0);
    if (!shelf || shelf.filters.similar_to) return undefined;
    let timer = 0;
    const look = async () => {
      if (isPending()) return later();
      const page = await get("/images", { ...shelf.filters, limit: 1 }).catch(() => null);
      if (!page || isPending()) return undefined;
      shelf.renew();
      if (!shelf.total && page.total) return again();
      return setCount(Math.max(page.total, shelf.counted) >= COUNTED && shelf.isFiltered ? 0 : page.total - shelf.counted);
    };
    const later = () => {
      clearTimeout(timer);
      timer = setTimeout(look, NEWS_WAIT);
    };
    const offNews = onNews((news) => news.images && later());
    const offChange = onChange((change) => (change.gone || change.back) && later());
    return () => {
      offNews();
      offChange();
      clearTimeout(timer);
    };
  }, [shelf]);
  return count;
}

/** Keeps the shelf as it is changed elsewhere on the page. */
function useChanges(shelf) {
  const taken = useRef(new Map());
  useEffect(() => {
    taken.current = new Map();
    if (!shelf) return undefined;
    return onChange(({ row, gone = [], back = [] }) => {
      if (row) shelf.patch(row);
      for (const id of gone) taken.current.set(id, shelf.take(id));
      // Last taken, first put back: each place was counted without those taken before.
      for (const id of [...taken.current.keys()].reverse().filter((one) => back.includes(one))) {
        if (taken.current.get(id)) shelf.putBack(taken.current.get(id));
        taken.current.delete(id);
      }
    });
  }, [shelf]);
}

function useSelection(shelf) {
  const [ids, setIds] = useState(new Set());
  const from = useRef(-1);
  useEffect(() => setIds(new Set()), [shelf]);
  useEffect(() => onChange(({ gone }) => gone && setIds((last) => new Set([...last].filter((id) => !gone.includes(id))))), []);
  const pick = (place, { range }) => {
    const start = range && from.current >= 0 ? from.current : place;
    const picked = [];
    for (let at = Math.min(start, place); at <= Math.max(start, place); at += 1) if (shelf.at(at)) picked.push(shelf.at(at).image_id);
    from.current = place;
    setIds((last) => {
      const next = new Set(last);
      if (!range && last.has(picked[0])) next.delete(picked[0]);
      else picked.forEach((id) => next.add(id));
      return next;
    });
  };
  const clear = useCallback(() => {
    from.current = -1;
    setIds(new Set());
  }, []);
  return { ids, pick, clear };
}

const rowsOf = (shelf, ids) => [...ids].map((id) => shelf.at(shelf.placeOf(id))).filter(Boolean);

export function Gallery({ route, shown }) {
  const opened = route.parts[0] === "image" ? route.parts[1] : null;
  const last = useRef({});
  if (shown) last.current = filtersOf(route.params);
  const filters = last.current;
  const { shelf, version, again, fault, stale } = useShelf(filters);
  const newcomers = useNewcomers(shelf, again);
  const selection = useSelection(shelf);
  const [current, setCurrent] = useState(0);
  const [scale, setScale] = useSize();
  const wall = useRef({});
  const set = (more) => go("/", { ...filters, ...more });
  useChanges(shelf);
  useEffect(() => onArrival(again), [again]);
  useEffect(() => setCurrent(0), [shelf]);
  useFocusBack(opened, shelf, wall, setCurrent);
  useEffect(() => void (current >= (shelf?.total ?? 0) && setCurrent(Math.max(0, (shelf?.total ?? 0) - 1))), [shelf, version]);
  const [tagging, setTagging] = useState(false);

  const chosen = shelf ? (selection.ids.size ? rowsOf(shelf, selection.ids) : [shelf.at(current)].filter(Boolean)) : [];
  const acts = {
    clear: selection.clear,
    favourite: () => chosen.length && !filters.deleted && changeAll(chosen, { favourite: !chosen.every((row) => row.favourite) }, "changed"),
    remove: () => {
      const ids = chosen.map((row) => row.image_id);
      selection.clear();
      (filters.deleted ? restore : remove)(ids);
      requestAnimationFrame(() => wall.current.focus?.(current));
    },
    tag: () => setTagging(true),
  };
  const open = (item) => go(`/image/${encodeURIComponent(item.image_id)}`, filters);
  return html`<div class="gallery" inert=${Boolean(opened)}>
      <${Head} filters=${filters} set=${set} shelf=${shelf} version=${version} stale=${stale} scale=${scale} setScale=${setScale} />
      ${newcomers !== 0 && html`<${Newcomers} count=${newcomers} onShow=${again} />`}
      ${fault && html`<${Fault} error=${fault} onRetry=${again} />`}
      ${!shelf && !fault && html`<div class="empty"><${Spinner} label="Loading the pictures" /></div>`}
      ${shelf && shelf.total === 0 && !fault && html`<${Empty} filters=${filters} set=${set} />`}
      ${shelf && shelf.total > 0 && html`<${Wall} shelf=${shelf} version=${version} scale=${scale} current=${current} setCurrent=${setCurrent}
        selection=${selection.ids} pick=${selection.pick} open=${open} acts=${acts} params=${filters} active=${shown && !opened} handle=${wall} />`}
      ${shelf?.fault && html`<div class="wall-fault"><${Fault} error=${shelf.fault} onRetry=${() => shelf.retry()} /></div>`}
      ${selection.ids.size > 0 && html`<${SelectionBar} rows=${chosen} count=${selection.ids.size} deleted=${Boolean(filters.deleted)} clear=${selection.clear}
        tagging=${tagging} setTagging=${setTagging} />`}
    </div>
    ${opened && shown && html`<${Detail} key="detail" id=${opened} shelf=${shelf} version=${version} params=${filters} />`}`;
}

/** When the open picture is closed, the wall shows it and its tile has the focus. */
function useFocusBack(opened, shelf, wall, setCurrent) {
  const before = useRef(null);
  useEffect(() => {
    if (opened) {
      const place = shelf?.placeOf(opened) ?? -1;
      before.current = place >= 0 ? place : before.current;
      if (place >= 0) setCurrent(place);
      return;
    }
    if (before.current !== null) wall.current.focus?.(before.current);
    before.current = null;
  }, [opened, shelf]);
}

function useSize() {
  const [scale, setScale] = useState(() => Number(stored("atelier.size")) || 1);
  const keep = (value) => {
    setScale(value);
    try {
      localStorage.setItem("atelier.size", String(value));
    } catch {
      // For this visit only.
    }
  };
  return [scale, keep];
}

function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function Head({ filters, set, shelf, version, stale, scale, setScale }) {
  const [panel, setPanel] = useState(false);
  const picker = useRef(null);
  const picked = (event) => {
    take(event.currentTarget.files);
    event.currentTarget.value = ""; // the same file can be picked again
  };
  const title = filters.deleted ? "Trash" : filters.similar_to ? "Alike" : filters.favourite ? "Favourites" : "Gallery";
  const size = SIZES.find((one) => one.scale === scale) ?? SIZES[1];
  const next = SIZES[(SIZES.indexOf(size) + 1) % SIZES.length];
  return html`<div class="head">
    <div class="head__row">
      ${filters.similar_to && html`<img class="head__like" src=${imageUrl(filters.similar_to, 320)} alt="The picture they are to be like" />`}
      <h1>${title}</h1>
      <p class="soft" role="status">${shelf ? (shelf.openEnd ? `More than ${counted(shelf.total - (shelf.total % COUNTED))}` : counted(shelf.total)) : ""}${stale && shelf ? html`<span class="unseen">Searching</span>` : ""}</p>
      <span class="grow"></span>
      <div class="row head__tools">
        ${filters.similar_to ? html`<span class="soft head__alike">Most alike first</span>` : html`<label class="unseen" for="sort">Order</label>
        <select id="sort" class="field__control head__sort" value=${filters.sort ?? ""} onChange=${(event) => set({ sort: event.currentTarget.value })}>
          ${SORTS.map(([value, told]) => html`<option value=${value}>${told}</option>`)}
        </select>`}
        <${IconButton} icon="heart" label="Favourites only" class="button--quiet" aria-pressed=${String(Boolean(filters.favourite))} filled=${Boolean(filters.favourite)}
          onClick=${() => set({ favourite: filters.favourite ? "" : "true" })} />
        <${IconButton} icon="filter" label="Filters" class="button--quiet" aria-expanded=${String(panel)} aria-controls="filters" onClick=${() => setPanel(!panel)} />
        <${IconButton} icon=${size.icon} label=${`Size of pictures: ${size.name}. Switch to ${next.name}`} class="button--quiet" onClick=${() => setScale(next.scale)} />
        <${IconButton} icon="upload" label="Add pictures" class="button--quiet" onClick=${() => picker.current.click()} />
        <input type="file" ref=${picker} hidden multiple accept=${PICTURES} aria-label="Pictures to add" onChange=${picked} />
        <${IconButton} icon="trash" label=${filters.deleted ? "Out of the trash" : "Trash"} class="button--quiet" aria-pressed=${String(Boolean(filters.deleted))}
          onClick=${() => go("/", filters.deleted ? {} : { deleted: "true" })} />
      </div>
    </div>
    ${panel && html`<${FilterPanel} filters=${filters} set=${set} id="filters" version=${version} />`}
    <${FilterChips} filters=${filters} set=${set} />
    ${filters.deleted && html`<p class="soft small">What lies here can be restored until its day has come. Select a picture to restore it.</p>`}
  </div>`;
}

function Newcomers({ count, onShow }) {
  const told = count > 0 ? `${count.toLocaleString()} new` : "The gallery changed";
  return html`<div class="newcomers"><button type="button" class="button button--main" aria-live="polite" onClick=${onShow}><${Icon} name="up" />${told}</button></div>`;
}

function Empty({ filters, set }) {
  const filtered = Object.keys(filters).some((name) => name !== "deleted" && name !== "sort");
  if (filters.deleted && !filtered) return html`<div class="empty"><${Icon} name="trash" /><h2>The trash is empty</h2><p>Deleted pictures wait here before they are gone for good.</p></div>`;
  if (filtered) {
    return html`<div class="empty"><${Icon} name="search" /><h2>No picture matches</h2><p>Try other words, or fewer filters.</p>
      <button type="button" class="button" onClick=${() => set(nothing(filters))}>Show all pictures</button></div>`;
  }
  return html`<div class="empty"><${Icon} name="gallery" /><h2>Nothing here yet</h2>
    <p>Write what you wish to see in the studio, or drop pictures from other programs anywhere on this page.</p>
    <a class="button button--main" href=${hashOf("/studio")}><${Icon} name="spark" />Make the first picture</a></div>`;
}
