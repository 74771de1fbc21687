// One picture, large, with all that is known about it.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/htm-preact.js";
import { downloadUrl, imageUrl } from "../lib/api.js";
import { isForPage } from "../lib/keys.js";
import { onNews } from "../lib/live.js";
import { Chip, Fault, Field, Icon, IconButton, Spinner, copy, useAsync } from "../lib/parts.js";
import { go, hashOf } from "../lib/route.js";
import * as acts from "./acts.js";
import { Compare } from "./compare.js";
import { Lineage } from "./lineage.js";
import { RecipeCard } from "./recipe.js";
import { Regenerate } from "./regenerate.js";
import { tagsIn } from "./selection.js";
import { Verdicts } from "./verdicts.js";
import { Zoom } from "./zoom.js";

const NEWS_WAIT = 500;
const pathOf = (id) => `/image/${encodeURIComponent(id)}`;

export function Detail({ id, shelf, version, params }) {
  const { value, error, loading, again } = useAsync((signal) => acts.info(id, signal), [id]);
  const [row, setRow] = useState(null); // what was changed here since it was fetched
  const [dialog, setDialog] = useState("");
  const zoom = useRef(null);
  const place = shelf?.placeOf(id) ?? -1;
  const beside = (step) => (place >= 0 ? shelf.at(place + step) : undefined);
  const info = value && { ...value, ...(row?.image_id === value.image_id ? row : {}) };
  const shown = info?.image_id === id ? info : null;

  useEffect(() => setDialog(""), [id]);
  useEffect(() => setRow(null), [value]);
  useEffect(() => acts.onChange(({ row: changed, gone, back }) => {
    if (changed?.image_id === id) setRow((last) => ({ ...last, ...mine(changed) }));
    if (gone?.includes(id)) leave();
    if (back?.includes(id)) again();
  }));
  useNews(again);
  useEffect(() => void (place >= 0 && shelf.want(place - 12, place + 24)), [place, version]);
  useHeld();

  const close = () => go("/", params);
  const step = (by) => beside(by) && go(pathOf(beside(by).image_id), params, { replace: true });
  const leave = () => {
    const gone = shelf?.placeOf(id) < 0; // then the next one stands in its place
    const next = gone ? shelf.at(place) ?? shelf.at(place - 1) : beside(1) ?? beside(-1);
    if (next) go(pathOf(next.image_id), params, { replace: true });
    else close();
  };
  const like = () => shown && !shown.deleted && acts.setFavourite(shown);
  const drop = () => shown && (shown.deleted ? acts.restore([id]) : acts.remove([id]));
  useDetailKeys({ zoom, step, close, like, drop, open: setDialog, id, ready: Boolean(shown) });

  return html`<article class="detail" aria-label="Picture" tabindex="-1" ref=${focusFirst}>
    <${Bar} info=${shown} place=${place} total=${shelf?.total ?? 0} close=${close} step=${step} beside=${beside} like=${like} drop=${drop} open=${setDialog} />
    <div class="detail__stage" style=${shown ? { "--ratio": shown.width / shown.height } : undefined}>
      ${shown ? html`<${Stage} info=${shown} zoom=${zoom} />` : !error && html`<img class="detail__soon" src=${imageUrl(id, 320)} alt="" />`}
      ${loading && !shown && html`<${Spinner} label="Loading the picture" />`}
    </div>
    <div class="detail__side">
      ${error && html`<${Fault} error=${error} onRetry=${again} />`}
      ${shown && html`<${Side} info=${shown} params=${params} open=${setDialog} />`}
    </div>
    ${shown && dialog === "compare" && html`<${Compare} info=${shown} shelf=${shelf} onClose=${() => setDialog("")} />`}
    ${shown && dialog === "again" && html`<${Regenerate} info=${shown} onClose=${() => setDialog("")} />`}
  </article>`;
}

const mine = ({ image_id, favourite, tags, deleted, until }) => ({ image_id, favourite, tags, deleted, until });

/** `again()` when the gallery changed elsewhere: another tab or program may have marked this very picture. */
function useNews(again) {
  useEffect(() => {
    let timer = 0;
    const look = () => (acts.isPending() ? later() : again());
    const later = () => {
      clearTimeout(timer);
      timer = setTimeout(look, NEWS_WAIT);
    };
    const off = onNews((news) => news.images && later());
    return () => {
      off();
      clearTimeout(timer);
    };
  }, [again]);
}

// The page below is neither scrolled nor focused while this lies above it.
function useHeld() {
  useEffect(() => {
    document.documentElement.classList.add("held");
    return () => document.documentElement.classList.remove("held");
  }, []);
}

function focusFirst(element) {
  if (!element || element.contains(document.activeElement) || document.activeElement?.closest("dialog, .drawer")) return;
  element.focus({ preventScroll: true });
}

function useDetailKeys({ zoom, step, close, like, drop, open, id, ready }) {
  const press = (event) => {
    if (!isForPage(event) || event.target.closest?.(".drawer")) return;
    const act = {
      Escape: close, ArrowLeft: () => step(-1), ArrowRight: () => step(1), f: like, Delete: drop, Backspace: drop,
      c: () => ready && open("compare"), r: () => ready && open("again"), d: () => document.querySelector(".detail [download]")?.click(),
      "+": () => zoom.current?.zoom(1), "=": () => zoom.current?.zoom(1), "-": () => zoom.current?.zoom(-1), "0": () => zoom.current?.reset(), 1: () => zoom.current?.full(),
    }[event.key];
    if (!act || (event.target.closest?.("video") && event.key.startsWith("Arrow"))) return;
    event.preventDefault();
    act();
  };
  const latest = useRef(press);
  latest.current = press;
  useLayoutEffect(() => {
    // At once: the next key may be pressed before the first painting.
    const listen = (event) => latest.current(event);
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);
}

function Bar({ info, place, total, close, step, beside, like, drop, open }) {
  const id = info?.image_id;
  const off = !info;
  return html`<header class="detail__bar">
    <${IconButton} icon="back" label="Back to the wall" class="button--quiet" onClick=${close} />
    <span class="detail__steps">
      <${IconButton} icon="left" label="Previous picture" class="button--quiet" aria-disabled=${beside(-1) ? undefined : "true"} onClick=${() => step(-1)} />
      <span class="soft small" role="status">${place >= 0 ? html`<span class="unseen">Picture </span>${(place + 1).toLocaleString()} of ${total.toLocaleString()}` : ""}</span>
      <${IconButton} icon="right" label="Next picture" class="button--quiet" aria-disabled=${beside(1) ? undefined : "true"} onClick=${() => step(1)} />
    </span>
    <span class="grow"></span>
    ${info?.deleted
      ? html`<button type="button" class="button button--main" onClick=${drop}><${Icon} name="restore" />Restore</button>`
      : html`<div class="row detail__acts">
        <${IconButton} icon="heart" label="Favourite" filled=${info?.favourite} class="button--quiet" disabled=${off} aria-pressed=${String(Boolean(info?.favourite))} onClick=${like} />
        <${IconButton} icon="compare" label="Compare" class="button--quiet" disabled=${off} onClick=${() => open("compare")} />
        <${IconButton} icon="again" label="Make again, changed" class="button--quiet" disabled=${off} onClick=${() => open("again")} />
        <a class="button button--icon button--quiet" href=${id ? hashOf("/", { similar_to: id }) : undefined} aria-label="More like this" title="More like this"><${Icon} name="alike" /></a>
        <a class="button button--icon button--quiet" href=${id ? downloadUrl(id) : undefined} download aria-label="Download" title="Download"><${Icon} name="download" /></a>
        <${IconButton} icon="link" label="Copy link" class="button--quiet" disabled=${off} onClick=${() => copy(location.href.split("#")[0] + hashOf(pathOf(id)), "The link is copied.")} />
        <${IconButton} icon="trash" label="Delete" class="button--quiet" disabled=${off} onClick=${drop} />
      </div>`}
  </header>`;
}

function Stage({ info, zoom }) {
  if (info.kind === "audio") return html`<audio key=${info.image_id} src=${imageUrl(info.image_id)} controls aria-label=${info.prompt || "Sound"}></audio>`;
  if (info.kind === "file") return html`<a class="button button--main" href=${downloadUrl(info.image_id)} download><${Icon} name="download" />Download the file</a>`;
  if (info.kind !== "video") return html`<${Zoom} info=${info} handle=${zoom} />`;
  return html`<video class="detail__video" key=${info.image_id} src=${imageUrl(info.image_id)} poster=${imageUrl(info.image_id, 1024)} controls loop playsinline
    aria-label=${info.prompt || "Video"}></video>`;
}

function Side({ info, params, open }) {
  return html`
    <section class="detail__words">
      <${Words} text=${info.prompt} />
      <div class="chips detail__facts">
        ${info.passed !== null && info.passed !== undefined && html`<span class=${`verdict verdict--${info.passed ? "good" : "bad"}`}><${Icon} name=${info.passed ? "check" : "warn"} />${info.passed ? "Accepted" : "Not accepted"}${info.score !== null && ` · ${info.score.toFixed(2)}`}</span>`}
        ${info.source && html`<span class="chip">from ${info.source}</span>`}
        ${info.deleted && html`<span class="chip">In the trash${info.until && ` until ${new Date(info.until).toLocaleDateString()}`}</span>`}
        <span class="soft small">${new Date(info.created).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" })}</span>
      </div>
    </section>
    <${Tags} info=${info} />
    <${Verdicts} verdicts=${info.verdicts ?? []} />
    <${RecipeCard} info=${info} again=${() => open("again")} />
    <${Lineage} info=${info} params=${params} />`;
}

const LONG = 320;

function Words({ text }) {
  const [all, setAll] = useState(false);
  useEffect(() => setAll(false), [text]);
  if (!text) return html`<h1 class="detail__prompt soft">Picture without words</h1>`;
  const cut = text.length > LONG && !all;
  return html`<h1 class="detail__prompt">${cut ? `${text.slice(0, LONG).trimEnd()}…` : text}</h1>
    <div class="row">
      ${text.length > LONG && html`<button type="button" class="button button--quiet button--small" aria-expanded=${String(all)} onClick=${() => setAll(!all)}>${all ? "Less" : "All of it"}</button>`}
      <button type="button" class="button button--quiet button--small detail__copy" onClick=${() => copy(text, "The prompt is copied.")}><${Icon} name="copy" />Copy the prompt</button>
    </div>`;
}

function Tags({ info }) {
  const [text, setText] = useState("");
  const add = (event) => {
    event.preventDefault();
    const tags = tagsIn(text);
    if (tags.length) acts.change(info, { add_tags: tags });
    setText("");
  };
  return html`<section class="card tags" aria-label="Tags">
    <div class="chips">
      ${(info.tags ?? []).map((tag) => html`<${Chip} key=${tag} onRemove=${() => acts.change(info, { remove_tags: [tag] })} removeLabel=${`Remove the tag ${tag}`}>
        <a href=${hashOf("/", { tag })}>#${tag}</a><//>`)}
      <form class="tags__form" onSubmit=${add}>
        <${Field} label="Add a tag" hideLabel=${true} placeholder="Add a tag" autocomplete="off" maxlength="60" enterkeyhint="done" value=${text} onInput=${(event) => setText(event.currentTarget.value)} />
      </form>
    </div>
  </section>`;
}
