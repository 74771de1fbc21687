/** The categories with their types, artists and options: one level at a time, each of which can be picked. */
import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { Icon, useAsync } from "../lib/parts.js";
import { pickOf } from "./picks.js";
import { Fetched, Group, PresetButton } from "./pieces.js";
import * as shelf from "./shelf.js";

/** `at`: the rows that were gone into, none to two of them. */
export function Tree({ picks }) {
  const [at, setAt] = useState([]);
  const trail = useRef(null);
  const moved = useRef(false);
  useEffect(() => {
    if (moved.current) trail.current.querySelector("[aria-current]")?.focus();
  }, [at]);
  const go = (rows) => {
    moved.current = true;
    setAt(rows);
  };
  const [category, type] = at;
  return html`<div class="tree">
    <nav class="tree__trail" aria-label="Place in the categories" ref=${trail}>
      ${at.length === 0
        ? html`<p class="soft small" tabindex="-1" aria-current="location">A category, a type, an artist: each can be picked.</p>`
        : html`<${Step} rows=${[]} at=${at} go=${go} name="All" />`}
      ${at.map((row, number) => html`<${Step} key=${row.path} rows=${at.slice(0, number + 1)} at=${at} go=${go} name=${row.name} />`)}
    </nav>
    ${type
      ? html`<${Artists} key=${type.path} category=${category} type=${type} picks=${picks} />`
      : category
        ? html`<${Types} key=${category.path} category=${category} picks=${picks} into=${(row) => go([category, row])} />`
        : html`<${Categories} into=${(row) => go([row])} />`}
  </div>`;
}

function Step({ rows, at, go, name }) {
  const here = rows.length === at.length;
  return html`${rows.length > 0 && html`<${Icon} name="right" />`}
    <button type="button" class="button button--quiet button--small" aria-current=${here ? "location" : undefined} onClick=${() => !here && go(rows)}>
      ${name}
    </button>`;
}

function Categories({ into }) {
  const asked = useAsync(shelf.categories, []);
  return html`<${Fetched} asked=${asked}>
    ${(rows) => html`<ul class="tiles">${rows.map((row) => html`<${Tile} key=${row.path} row=${row} more=${`${row.types} types`} into=${into} />`)}</ul>`}
  <//>`;
}

function Tile({ row, more, into }) {
  return html`<li>
    <button type="button" class="tile" onClick=${() => into(row)}>
      <span class="tile__name">${row.name}</span><span class="tile__more">${more}</span><${Icon} name="right" />
    </button>
  </li>`;
}

function Types({ category, picks, into }) {
  const asked = useAsync(() => shelf.types(category.id), [category.id]);
  return html`<${Whole} row=${category} picks=${picks} />
    <${Fetched} asked=${asked}>
      ${({ types }) => html`<ul class="tiles">${types.map((row) => html`<${Tile} key=${row.path} row=${row} more=${`${row.artists} artists`} into=${into} />`)}</ul>`}
    <//>`;
}

/** A level picked as a whole, without anything below it. */
function Whole({ row, picks }) {
  return html`<p class="tree__whole">
    <button type="button" class="chip" aria-pressed=${String(picks.has(row.path))} title=${row.text}
      disabled=${picks.full && !picks.has(row.path)} onClick=${() => picks.toggle(pickOf(row))}>Pick ${row.name} as a whole</button>
  </p>`;
}

function Artists({ category, type, picks }) {
  const asked = useAsync(() => shelf.artists(category.id, type.id), [category.id, type.id]);
  return html`<${Whole} row=${type} picks=${picks} />
    <${Fetched} asked=${asked}>${({ artists }) => html`<${Artist} rows=${artists} category=${category} type=${type} picks=${picks} />`}<//>`;
}

/** The artists of a type; those that are picked show their options below. */
function Artist({ rows, category, type, picks }) {
  const chosen = rows.filter((row) => picks.has(row.path));
  return html`<div class="chips">${rows.map((row) => html`<${PresetButton} key=${row.path} row=${row} picks=${picks} />`)}</div>
    ${chosen.length === 0 && html`<p class="soft small">Pick an artist for technique and scene options.</p>`}
    ${chosen.map((row) => html`<${ArtistOptions} key=${row.path} row=${row} category=${category} type=${type} picks=${picks} />`)}`;
}

function ArtistOptions({ row, category, type, picks }) {
  const asked = useAsync(() => shelf.artistOptions(category.id, type.id, row.id), [row.path]);
  return html`<section class="tree__options" aria-label=${`Options of ${row.name}`}>
    <h4>${row.name}</h4>
    <${Fetched} asked=${asked}>
      ${(groups) => groups.map((group) => html`<${Group} key=${group.id} group=${group} owner=${row.path} picks=${picks} />`)}
    <//>
  </section>`;
}
