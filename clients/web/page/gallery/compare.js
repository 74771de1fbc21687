// Two pictures, one over the other, with a divider that a pointer or the arrow keys move.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { get, imageUrl } from "../lib/api.js";
import { Dialog, Fault, Field, Spinner, useAsync } from "../lib/parts.js";

const EDGE = 1024;
const OFFERED = 24;

export function Compare({ info, shelf, onClose }) {
  const family = relatives(info);
  const [other, setOther] = useState(family[0] ?? beside(info, shelf)[0] ?? null);
  const [cut, setCut] = useState(50);
  return html`<${Dialog} title="Compare" class="dialog--wide compare" onClose=${onClose}>
    <div class="stack">
      ${other ? html`<${Divided} before=${other} after=${info} cut=${cut} setCut=${setCut} />` : html`<p class="soft">There is no other picture yet to compare with.</p>`}
      <${Picker} info=${info} shelf=${shelf} family=${family} chosen=${other} choose=${setOther} />
    </div>
  <//>`;
}

function Divided({ before, after, cut, setCut }) {
  const style = { "--cut": `${cut}%`, "--shape": `${after.width} / ${after.height}`, "--ratio": after.width / after.height };
  return html`<figure class="divided" style=${style}>
    <div class="divided__pictures">
      <img src=${imageUrl(after.image_id, EDGE)} alt=${`After: ${after.prompt || "this picture"}`} />
      <img class="divided__before" src=${imageUrl(before.image_id, EDGE)} alt=${`Before: ${before.prompt || "the other picture"}`} />
      <span class="divided__line" aria-hidden="true"></span>
      <input class="divided__range" type="range" autofocus min="0" max="100" step="1" value=${cut} aria-label="Divider: how much of the other picture is shown"
        aria-valuetext=${`${cut} percent of the other picture`} onInput=${(event) => setCut(Number(event.currentTarget.value))} />
    </div>
    <figcaption class="divided__names small soft"><span>${before.told ?? "The other"}</span><span>This one</span></figcaption>
  </figure>`;
}

function Picker({ info, shelf, family, chosen, choose }) {
  const [text, setText] = useState("");
  const query = useLate(text.trim());
  const { value, error, loading, again } = useAsync((signal) => (query ? get("/images", { query, limit: OFFERED }, { signal }) : Promise.resolve(null)), [query]);
  const found = value ? value.images : [...family, ...beside(info, shelf)];
  const rows = unique(found).filter((row) => row.image_id !== info.image_id);
  return html`<section class="stack" aria-label="The other picture">
    <${Field} label="Compare with another picture" type="search" placeholder="Search by words" value=${text} onInput=${(event) => setText(event.currentTarget.value)} />
    ${error && html`<${Fault} error=${error} onRetry=${again} />`}
    <div class="strip" role="group" aria-label="Pictures to compare with">
      ${loading && query && html`<${Spinner} />`}
      ${!rows.length && !loading && html`<p class="soft small">No picture matches.</p>`}
      ${rows.map((row) => html`<button type="button" class="strip__one" key=${row.image_id} aria-pressed=${String(row.image_id === chosen?.image_id)}
        aria-label=${[row.told, row.prompt].filter(Boolean).join(": ") || "Picture"} title=${row.told} onClick=${() => choose(row)}>
        <img src=${imageUrl(row.image_id, 320)} alt="" loading="lazy" /></button>`)}
    </div>
  </section>`;
}

function relatives(info) {
  const parents = (info.parents ?? []).map((id) => ({ image_id: id, told: "The one it was made from" }));
  const children = (info.children ?? []).map((id) => ({ image_id: id, told: "Made from this one" }));
  return [...parents, ...children];
}

function beside(info, shelf) {
  const place = shelf?.placeOf(info.image_id) ?? -1;
  const from = Math.max(0, place - OFFERED / 2);
  return Array.from({ length: OFFERED + 1 }, (_, step) => shelf?.at(from + step)).filter((row) => row && row.image_id !== info.image_id && row.kind === "image");
}

const unique = (rows) => [...new Map(rows.map((row) => [row.image_id, row])).values()];

/** The value as it was a moment ago, while it goes on changing. */
function useLate(value, wait = 180) {
  const [late, setLate] = useState(value);
  const timer = useRef(0);
  useEffect(() => {
    timer.current = setTimeout(() => setLate(value), wait);
    return () => clearTimeout(timer.current);
  }, [value]);
  return late;
}
