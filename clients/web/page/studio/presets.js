/** The shelf of presets: by category, flat lists, options, packs and one's own; and the search over all of them. */
import { html, useEffect, useMemo, useRef, useState } from "../vendor/htm-preact.js";
import { Fault, Icon, useAsync } from "../lib/parts.js";
import { Own } from "./own.js";
import { packPicks, pickOf } from "./picks.js";
import { Fetched, Group, PresetButton } from "./pieces.js";
import * as shelf from "./shelf.js";
import { Tree } from "./tree.js";

const TABS = [
  ["tree", "Categories"],
  ["style", "Styles"],
  ["artist", "Artists"],
  ["composition", "Composition"],
  ["lighting", "Lighting"],
  ["options", "Mood and more"],
  ["packs", "Packs"],
  ["own", "Your own"],
];

/** `picks`: what usePicks gives. */
export function Presets({ picks }) {
  const [tab, setTab] = useState("tree");
  const [words, setWords] = useState("");
  return html`<div class="presets">
    <div class="presets__search">
      <${Icon} name="search" />
      <input type="search" class="field__control" aria-label="Search presets" placeholder="Search presets" autocomplete="off"
        maxlength="100" value=${words} onInput=${(event) => setWords(event.currentTarget.value)} />
    </div>
    ${words.trim() ? html`<${Found} words=${words} picks=${picks} />` : html`<${Tabs} tab=${tab} onTab=${setTab} picks=${picks} />`}
  </div>`;
}

function Tabs({ tab, onTab, picks }) {
  const list = useRef(null);
  const press = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = TABS.findIndex(([id]) => id === tab);
    const to = event.key === "Home" ? 0 : event.key === "End" ? TABS.length - 1 : step && (at + step + TABS.length) % TABS.length;
    if (to === undefined) return;
    event.preventDefault();
    onTab(TABS[to][0]);
    list.current.children[to].focus();
  };
  return html`<div class="presets__tabs" role="tablist" aria-label="Kinds of presets" ref=${list} onKeyDown=${press}>
      ${TABS.map(
        ([id, title]) => html`<button key=${id} type="button" role="tab" id=${`shelf-${id}`} aria-controls="shelf-panel"
          aria-selected=${String(id === tab)} tabindex=${id === tab ? 0 : -1} onClick=${() => onTab(id)}>${title}</button>`,
      )}
    </div>
    <div class="presets__panel" role="tabpanel" id="shelf-panel" aria-labelledby=${`shelf-${tab}`}>${panelOf(tab, picks)}</div>`;
}

function panelOf(tab, picks) {
  if (tab === "tree") return html`<${Tree} picks=${picks} />`;
  if (tab === "options") return html`<${Options} picks=${picks} />`;
  if (tab === "packs") return html`<${Packs} picks=${picks} />`;
  if (tab === "own") return html`<${Own} picks=${picks} />`;
  return html`<${Flat} key=${tab} kind=${tab} picks=${picks} />`;
}

function Flat({ kind, picks }) {
  const asked = useAsync(shelf.flat, []);
  return html`<${Fetched} asked=${asked}>
    ${(shelves) => html`<div class="chips">
      ${shelves.find((one) => one.id === kind).rows.map((row) => html`<${PresetButton} key=${row.path} row=${row} picks=${picks} />`)}
    </div>`}
  <//>`;
}

function Options({ picks }) {
  const asked = useAsync(shelf.options, []);
  return html`<${Fetched} asked=${asked}>${(groups) => groups.map((one) => html`<${Group} key=${one.id} group=${one} picks=${picks} />`)}<//>`;
}

function Packs({ picks }) {
  const asked = useAsync(async () => [await shelf.packs(), await shelf.singleGroups()], []);
  return html`<${Fetched} asked=${asked}>
    ${([packs, single]) => html`<ul class="packs">${packs.map((pack) => html`<${Pack} key=${pack.id} pack=${pack} single=${single} picks=${picks} />`)}</ul>`}
  <//>`;
}

function Pack({ pack, single, picks }) {
  const several = useMemo(() => packPicks(pack, single), [pack, single]);
  const pressed = several.every((one) => picks.has(one.path));
  return html`<li>
    <button type="button" class="pack" aria-pressed=${String(pressed)} onClick=${() => picks.toggleAll(several)}>
      <span class="pack__name">${pack.name}</span>
      <span class="pack__told">${pack.description}</span>
      <span class="pack__parts">${several.map((one) => one.name).join(" · ")}</span>
    </button>
  </li>`;
}

function Found({ words, picks }) {
  const { entries, share, error } = useIndex();
  const found = useMemo(() => shelf.matching(entries, words), [entries, words]);
  if (error) return html`<${Fault} error=${error} />`;
  return html`<div class="presets__found">
    <p class="soft small" role="status">${toldOf(found.length, share)}</p>
    <ul>
      ${found.map(
        ({ row, where, group }) => html`<li key=${row.path}>
          <button type="button" class="found" aria-pressed=${String(picks.has(row.path))} disabled=${picks.full && !picks.has(row.path)}
            onClick=${() => picks.toggle(pickOf(row, group))}>
            <span class="found__name">${row.name}</span><span class="found__where">${where}</span>
            <span class="found__text">${row.text}</span>
          </button>
        </li>`,
      )}
    </ul>
  </div>`;
}

function toldOf(count, share) {
  if (share < 1) return `${count} found. Looking through the artists: ${Math.round(share * 100)} %`;
  return count ? `${count} found.` : "Nothing found. Other words may find it.";
}

/** What can be found; it fills while one types. */
function useIndex() {
  const [state, setState] = useState({ entries: [], share: 0, error: null });
  useEffect(() => {
    const looking = new AbortController();
    const told = (entries, share) => !looking.signal.aborted && setState({ entries, share, error: null });
    shelf.index(told, looking.signal).catch((error) => setState((before) => ({ ...before, error })));
    return () => looking.abort();
  }, []);
  return state;
}
