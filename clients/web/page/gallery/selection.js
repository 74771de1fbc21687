// What can be done to several pictures at once.

import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { Dialog, Field, Icon } from "../lib/parts.js";
import { changeAll, counted, remove, restore } from "./acts.js";

export function SelectionBar({ rows, count, deleted, clear, tagging, setTagging }) {
  useEffect(() => {
    document.documentElement.classList.add("selecting");
    return () => document.documentElement.classList.remove("selecting");
  }, []);
  const ids = rows.map((row) => row.image_id);
  const allLiked = rows.length > 0 && rows.every((row) => row.favourite);
  const act = (work) => () => {
    clear();
    work();
  };
  const like = () => changeAll(rows, { favourite: !allLiked }, allLiked ? "are no favourites any more" : "are favourites now");
  return html`<div class="selection" role="toolbar" aria-label="Selected pictures">
    <strong aria-live="polite">${counted(count)}</strong>
    <span class="grow"></span>
    ${deleted
      ? html`<${Act} icon="restore" label="Restore" onClick=${act(() => restore(ids))} />`
      : html`<${Act} icon="heart" label=${allLiked ? "Not favourite" : "Favourite"} onClick=${like} />
        <${Act} icon="tag" label="Tag" onClick=${() => setTagging(true)} />
        <${Act} icon="trash" label="Delete" onClick=${act(() => remove(ids))} />`}
    <${Act} icon="close" label="Clear" onClick=${clear} />
    ${tagging && html`<${TagDialog} rows=${rows} onClose=${() => setTagging(false)} />`}
  </div>`;
}

function Act({ icon, label, onClick }) {
  return html`<button type="button" class="button button--quiet" aria-label=${label} title=${label} onClick=${onClick}><${Icon} name=${icon} /><span class="selection__word">${label}</span></button>`;
}

function TagDialog({ rows, onClose }) {
  const [text, setText] = useState("");
  const tags = tagsIn(text);
  const save = (event) => {
    event.preventDefault();
    if (!tags.length) return;
    changeAll(rows, { add_tags: tags }, `have the tag${tags.length > 1 ? "s" : ""} ${tags.join(", ")}`);
    onClose();
  };
  return html`<${Dialog} title=${`Tag ${counted(rows.length)}`} onClose=${onClose}>
    <form class="stack" onSubmit=${save}>
      <${Field} autofocus label="Tags to add" hint="Several with commas between them." value=${text} onInput=${(event) => setText(event.currentTarget.value)} autocomplete="off" />
      <div class="row row--end"><button type="submit" class="button button--main" disabled=${!tags.length}>Add</button></div>
    </form>
  <//>`;
}

export const tagsIn = (text) => [...new Set(text.split(",").map((tag) => tag.trim().toLocaleLowerCase()).filter(Boolean))];
