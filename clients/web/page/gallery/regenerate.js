// The same picture again, with values changed: only what differs is sent.

import { html, useState } from "../vendor/htm-preact.js";
import { send } from "../lib/api.js";
import { showJobs } from "../lib/live.js";
import { Dialog, Fault, Field, Icon, toast } from "../lib/parts.js";

const MOST_SEED = 2 ** 32;
const NUMBERS = new Set(["seed", "steps", "cfg", "denoise", "width", "height", "count"]);

/** What the form begins with: the recipe as it was rendered. */
function beginning(info) {
  const recipe = info.rendered ?? info.recipe ?? {};
  const facts = info.facts ?? {};
  const own = info.recipe ?? recipe;
  return {
    prompt: own.prompt ?? info.prompt ?? "",
    negative_prompt: own.negative ?? info.negative_prompt ?? "",
    model: own.model ?? "",
    seed: info.seed ?? "",
    steps: recipe.steps ?? facts.steps ?? "",
    cfg: recipe.cfg ?? facts.cfg ?? "",
    width: recipe.width ?? "",
    height: recipe.height ?? "",
    sampler: recipe.sampler ?? facts.sampler ?? "",
    denoise: recipe.denoise ?? "",
    count: 1,
  };
}

export function Regenerate({ info, onClose }) {
  const first = beginning(info);
  const [values, setValues] = useState(first);
  const [fault, setFault] = useState(null);
  const [busy, setBusy] = useState(false);
  const changed = difference(first, values);
  const bind = (name) => ({ name, value: values[name], onInput: (event) => setValues({ ...values, [name]: event.currentTarget.value }) });
  const ask = async (event) => {
    event?.preventDefault();
    setBusy(true);
    setFault(null);
    try {
      await send("POST", `/images/${encodeURIComponent(info.image_id)}/regenerate`, changed);
      onClose();
      showJobs();
      toast("It is being made; the jobs panel shows how far it is.");
    } catch (error) {
      setFault(error);
      setBusy(false);
    }
  };
  const count = Object.keys(changed).length;
  const footer = html`<p class="soft small again__told" role="status">${count ? `Changed: ${Object.keys(changed).map((name) => name.replaceAll("_", " ")).join(", ")}` : "Nothing is changed: this gives the same picture again."}</p>
    <button type="submit" form="again" class="button button--main" disabled=${busy}>${busy ? "Asking…" : "Make it"}</button>`;
  return html`<${Dialog} title="Make again, changed" onClose=${onClose} footer=${footer}>
    <form class="stack" id="again" onSubmit=${ask}>
      ${fault && html`<${Fault} error=${fault} onRetry=${ask} />`}
      <${Field} as="textarea" autofocus label="Prompt" rows="4" maxlength="20000" ...${bind("prompt")} />
      <${Field} as="textarea" label="Not in it" rows="2" maxlength="20000" class="field--low" ...${bind("negative_prompt")} />
      <div class="fields">
        <${Field} label="Model" class="field--wide" placeholder="as it was" ...${bind("model")} />
        <div class="row seed"><${Field} label="Seed" type="number" min="0" max=${MOST_SEED - 1} step="1" class="grow" ...${bind("seed")} />
          <button type="button" class="button button--icon" aria-label="Another seed" title="Another seed" onClick=${() => setValues({ ...values, seed: Math.floor(Math.random() * MOST_SEED) })}><${Icon} name="again" /></button></div>
        <${Field} label="Steps" type="number" min="1" max="200" step="1" ...${bind("steps")} />
        <${Field} label="CFG" type="number" min="0" max="30" step="any" ...${bind("cfg")} />
        <${Field} label="Width" type="number" min="64" max="4096" step="8" ...${bind("width")} />
        <${Field} label="Height" type="number" min="64" max="4096" step="8" ...${bind("height")} />
        <${Field} label="Sampler" ...${bind("sampler")} />
        ${first.denoise !== "" && html`<${Field} label="Denoise" type="number" min="0.01" max="1" step="any" ...${bind("denoise")} />`}
        <${Field} label="How many" type="number" min="1" max="8" step="1" ...${bind("count")} />
      </div>
    </form>
  <//>`;
}

/** What is to be sent. A field that was emptied keeps the value that the picture has. */
export function difference(first, values) {
  const changed = Object.entries(values).filter(([name, value]) => String(value) !== String(first[name]) && (value !== "" || name === "negative_prompt"));
  return Object.fromEntries(changed.map(([name, value]) => [name, NUMBERS.has(name) ? Number(value) : value]));
}
