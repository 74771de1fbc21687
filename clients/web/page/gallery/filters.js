// What the wall shows: filters in the place's parameters, as chips and as a panel to set them.

import { html } from "../vendor/htm-preact.js";
import { get } from "../lib/api.js";
import { Chip, Fault, Field, useAsync } from "../lib/parts.js";

export const NAMES = ["query", "model", "lora", "engine", "tag", "kind", "favourite", "min_score", "since", "until", "sort", "similar_to", "deleted"];
export const SORTS = [["", "Newest first"], ["oldest", "Oldest first"], ["best", "Best first"]];

/** The filters among a place's parameters, as they stand in the address. */
export const filtersOf = (params) => Object.fromEntries(NAMES.filter((name) => params[name]).map((name) => [name, params[name]]));

/** The same as the server asks for them: days become moments of this place's time. */
export function asked(filters) {
  const { since, until, ...rest } = filters;
  return { ...rest, since: moment(since, 0), until: moment(until, 1) };
}

function moment(day, later) {
  const [year, month, date] = (day ?? "").split("-").map(Number);
  if (!year || !month || !date) return undefined;
  return new Date(year, month - 1, date + later).toISOString();
}

const KINDS = { image: "Pictures", video: "Videos", audio: "Sounds", file: "Other files" };
const TOLD = {
  query: (value) => `“${value}”`,
  model: (value) => `Model: ${value}`,
  lora: (value) => `LoRA: ${value}`,
  engine: (value) => `Engine: ${value}`,
  tag: (value) => `#${value}`,
  kind: (value) => (KINDS[value] ?? value),
  favourite: () => "Favourites",
  min_score: (value) => `Score from ${value}`,
  since: (value) => `From ${value}`,
  until: (value) => `To ${value}`,
  sort: (value) => SORTS.find(([name]) => name === value)?.[1] ?? value,
  similar_to: () => "Alike",
  deleted: () => "Trash",
};

/** One chip for each filter that is set, with a button that takes it away. */
export function FilterChips({ filters, set }) {
  const names = NAMES.filter((name) => filters[name] && name !== "deleted");
  if (!names.length) return null;
  return html`<div class="chips" role="group" aria-label="Filters that are set">
    ${names.map((name) => {
      const told = TOLD[name](filters[name]);
      return html`<${Chip} key=${name} onRemove=${() => set({ [name]: "" })} removeLabel=${`Take away the filter ${told}`}>${told}<//>`;
    })}
    ${names.length > 1 && html`<button type="button" class="button button--quiet button--small" onClick=${() => set(nothing(filters))}>Clear all</button>`}
  </div>`;
}

export const nothing = (filters) => Object.fromEntries(NAMES.filter((name) => name !== "deleted" || !filters.deleted).map((name) => [name, ""]));

export function FilterPanel({ filters, set, id, version }) {
  const { value: facets, error, again } = useAsync((signal) => get("/images/facets", {}, { signal }), [version]);
  const choose = (name) => ({ value: filters[name] ?? "", onChange: (event) => set({ [name]: event.currentTarget.value }) });
  const tags = (facets?.tags ?? []).slice(0, 14);
  return html`<section class="filters card" id=${id} aria-label="Filters">
    ${error && html`<${Fault} error=${error} onRetry=${again} />`}
    <div class="fields filters__fields">
      <${Choice} label="Model" rows=${facets?.models} ...${choose("model")} />
      <${Choice} label="LoRA" rows=${facets?.loras} ...${choose("lora")} />
      <${Choice} label="Engine" rows=${facets?.engines} ...${choose("engine")} />
      <${Choice} label="Tag" rows=${facets?.tags} ...${choose("tag")} />
      <${Field} as="select" label="Kind" ...${choose("kind")}>
        <option value="">All</option>${Object.entries(KINDS).map(([kind, told]) => html`<option key=${kind} value=${kind}>${told}</option>`)}
      <//>
      <${Field} label="Least score" type="number" min="-1" max="1" step="0.01" placeholder="any" ...${choose("min_score")} />
      <${Field} label="From day" type="date" max=${filters.until} ...${choose("since")} />
      <${Field} label="To day" type="date" min=${filters.since} ...${choose("until")} />
    </div>
    ${tags.length > 0 && html`<div class="chips" role="group" aria-label="Tags used most">
      ${tags.map(([tag, count]) => html`<${Chip} key=${tag} pressed=${filters.tag === tag} onClick=${() => set({ tag: filters.tag === tag ? "" : tag })}>
        #${tag} <span class="soft">${count}</span><//>`)}
    </div>`}
  </section>`;
}

// A value that no row has any more stays choosable, so that the control tells the truth.
function Choice({ label, rows = [], value, onChange }) {
  const known = rows.some(([name]) => name === value);
  return html`<${Field} as="select" label=${label} value=${value} onChange=${onChange}>
    <option value="">All</option>
    ${!known && value && html`<option value=${value}>${value}</option>`}
    ${rows.map(([name, count]) => html`<option value=${name} key=${name}>${name} (${count.toLocaleString()})</option>`)}
  <//>`;
}
