// One picture on the wall.

import { html } from "../vendor/htm-preact.js";
import { imageUrl } from "../lib/api.js";
import { Icon } from "../lib/parts.js";
import { hashOf } from "../lib/route.js";

const SMALL_EDGE = 320;
const LARGE_EDGE = 640;
const seen = new Set(); // pictures that were fetched once: the browser has them, so they are drawn even in a fast scroll

const KINDS = { video: "Video", audio: "Sound", file: "File" };
const SIGNS = { video: "play", audio: "play", file: "download" };
const unseen = (item) => item.kind === "audio" || item.kind === "file"; // nothing of it can be shown

export const nameOf = (item) => {
  const kind = KINDS[item.kind] ?? "";
  const mark = item.favourite ? "favourite" : "";
  return [kind, item.prompt || "Picture without words", mark].filter(Boolean).join(", ");
};

export function Tile({ item, place, total, box, current, selected, selecting, fast, params, deleted }) {
  const style = { left: `${box.left}px`, top: `${box.top}px`, width: `${box.width}px`, height: `${box.height}px` };
  const standing = { role: "listitem", "aria-setsize": total, "aria-posinset": place + 1 };
  if (!item) return html`<div class="photo photo--blank" style=${style} ...${standing}><span class="unseen">Not loaded yet</span></div>`;
  const id = item.image_id;
  return html`<div class=${`photo${selected ? " photo--selected" : ""}`} style=${style} data-id=${id} ...${standing}>
    <a class="photo__link" href=${hashOf(`/image/${encodeURIComponent(id)}`, params)} aria-label=${nameOf(item)}
      tabindex=${current ? 0 : -1} draggable=${false}>
      ${!unseen(item) && (!fast || seen.has(id)) && html`<${Preview} id=${id} box=${box} />`}
      ${SIGNS[item.kind] && html`<span class="photo__kind"><${Icon} name=${SIGNS[item.kind]} filled=${true} /></span>`}
      <span class="photo__foot" aria-hidden="true">
        <span class="photo__words">${item.prompt}</span>
        ${item.likeness !== undefined && html`<span class="photo__score">${Math.round(item.likeness * 100)} %</span>`}
        ${deleted && item.until && html`<span class="photo__score">until ${day(item.until)}</span>`}
      </span>
    </a>
    ${item.favourite && html`<span class="photo__heart" aria-hidden="true"><${Icon} name="heart" filled=${true} /></span>`}
    <button type="button" class="photo__pick" tabindex="-1" aria-pressed=${String(selected)}
      aria-label=${`${selected ? "Do not select" : "Select"} ${item.prompt || "picture"}`} data-pick=${id} data-shown=${selecting ? "" : undefined}>
      <${Icon} name="check" />
    </button>
  </div>`;
}

function Preview({ id, box }) {
  const sharp = Math.max(box.width, box.height) * (window.devicePixelRatio || 1);
  const shown = (event) => {
    seen.add(id);
    event.currentTarget.classList.add("is-there");
  };
  const failed = (event) => event.currentTarget.classList.add("is-broken");
  return html`<img class=${seen.has(id) ? "is-there" : ""} key=${id} src=${imageUrl(id, sharp > SMALL_EDGE * 1.15 ? LARGE_EDGE : SMALL_EDGE)} alt=""
    decoding="async" loading="lazy" draggable=${false} width=${box.width} height=${box.height} onLoad=${shown} onError=${failed} />`;
}

const day = (iso) => new Date(iso).toLocaleDateString(undefined, { day: "numeric", month: "short" });
