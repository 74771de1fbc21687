// Where a picture comes from and what was made of it, as a small drawn tree.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { imageUrl } from "../lib/api.js";
import { hashOf } from "../lib/route.js";

const SIZE = 64;
const ACROSS = 96;
const DOWN = 104;

export function Lineage({ info, params }) {
  const nodes = nodesOf(info);
  const box = useRef(null);
  useEffect(() => centre(box.current), [info.image_id]);
  if (nodes.length < 2) return null;
  const { spots, width, height } = drawn(nodes);
  return html`<section class="card lineage" aria-label="Lineage"><h2>Lineage</h2>
    <div class="lineage__box" ref=${box} tabindex="0" role="group" aria-label="The family of this picture">
      <div class="lineage__tree" style=${{ width: `${width}px`, height: `${height}px` }}>
        <svg class="lineage__lines" width=${width} height=${height} aria-hidden="true">
          ${spots.filter((spot) => spot.parent).map((spot) => html`<path d=${line(spot.parent, spot)} />`)}
        </svg>
        <ul>${spots.map((spot) => html`<${Node} key=${spot.node.image_id} spot=${spot} current=${spot.node.image_id === info.image_id} params=${params} />`)}</ul>
      </div>
    </div>
  </section>`;
}

function Node({ spot, current, params }) {
  const { node } = spot;
  const [lost, setLost] = useState(false);
  const told = node.change || (node.task ?? "").replaceAll("_", " ");
  const at = { left: `${spot.x}px`, top: `${spot.y}px` };
  return html`<li style=${at}><a class=${`lineage__node${node.deleted ? " lineage__node--gone" : ""}`} href=${hashOf(`/image/${encodeURIComponent(node.image_id)}`, params)}
    aria-current=${current ? "page" : undefined} aria-label=${`${told || "picture"}${current ? ", shown" : ""}${node.deleted ? ", in the trash" : ""}`} title=${told}>
    ${lost ? html`<span class="lineage__lost"></span>` : html`<img src=${imageUrl(node.image_id, 320)} alt="" width=${SIZE} height=${SIZE} loading="lazy" onError=${() => setLost(true)} />`}
    <span class="lineage__told" aria-hidden="true">${told}</span>
  </a></li>`;
}

// By hand: scrollIntoView would move the page around it too.
function centre(box) {
  const node = box?.querySelector("[aria-current]")?.parentElement;
  if (node) box.scrollTo({ left: node.offsetLeft - box.clientWidth / 2 + SIZE / 2, top: node.offsetTop - box.clientHeight / 2 + SIZE / 2, behavior: "instant" });
}

/** The server's tree; without one, the nearest relatives alone. */
function nodesOf(info) {
  if (info.tree?.nodes?.length) return info.tree.nodes;
  const [parent] = info.parents ?? [];
  const own = { image_id: info.image_id, parent_id: parent ?? null, task: info.recipe?.task };
  const children = (info.children ?? []).map((id) => ({ image_id: id, parent_id: info.image_id, task: "" }));
  return [...(parent ? [{ image_id: parent, parent_id: null, task: "" }] : []), own, ...children];
}

/** A place for each node: parents above the middle of their children. */
export function drawn(nodes) {
  const byId = new Map(nodes.map((node) => [node.image_id, { node, children: [] }]));
  const roots = [];
  for (const spot of byId.values()) {
    spot.parent = byId.get(spot.node.parent_id) ?? null;
    (spot.parent?.children ?? roots).push(spot);
  }
  let column = 0;
  let deepest = 0;
  const settle = (spot, depth) => {
    deepest = Math.max(deepest, depth);
    spot.y = depth * DOWN;
    spot.children.forEach((child) => settle(child, depth + 1));
    spot.x = spot.children.length ? (spot.children[0].x + spot.children.at(-1).x) / 2 : column++ * ACROSS;
  };
  roots.forEach((root) => settle(root, 0));
  return { spots: [...byId.values()], width: Math.max(1, column) * ACROSS - (ACROSS - SIZE), height: (deepest + 1) * DOWN };
}

function line(from, to) {
  const [x1, y1, x2, y2] = [from.x + SIZE / 2, from.y + SIZE + 20, to.x + SIZE / 2, to.y - 2];
  const middle = (y1 + y2) / 2;
  return `M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}`;
}
