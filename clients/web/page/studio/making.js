/** The form that has the picture drawn: what matters in sight, the rest folded away. */
import { html, useState } from "../vendor/htm-preact.js";
import { get } from "../lib/api.js";
import { Fault, Field, Icon, useAsync } from "../lib/parts.js";
import { order } from "../jobs/acts.js";
import { useKept } from "./kept.js";
import { EMPTY, OWN_SIZE, missing, orderOf } from "./order.js";

const SHAPES = [
  ["", "The model's own"],
  ["square", "Square"],
  ["portrait", "Portrait, 2:3"],
  ["landscape", "Landscape, 3:2"],
  ["3:4", "3:4"],
  ["4:3", "4:3"],
  ["9:16", "Tall, 9:16"],
  ["16:9", "Wide, 16:9"],
  ["21:9", "Cinema, 21:9"],
  [OWN_SIZE, "Width and height"],
];
const QUALITIES = [
  ["fast", "Fast"],
  ["balanced", "Balanced"],
  ["high", "High"],
  ["ultra", "Ultra"],
];
/** What ComfyUI and diffusers call the common ones; an engine may know others. */
const SAMPLERS = ["euler", "euler_ancestral", "heun", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_sde", "ddim", "lcm", "uni_pc"];
const SCHEDULERS = ["normal", "karras", "exponential", "sgm_uniform", "simple", "beta"];
const CHECKS = [
  ["people", "Number of people"],
  ["pose", "Bodies and hands"],
  ["quality", "Sharpness and light"],
];

/** `words`: what useWords gives; `picks`: the picked presets; `onJob(id)`: the picture was ordered. */
export function Making({ words, picks, onJob }) {
  const [kept, setForm] = useKept("making", EMPTY);
  const form = { ...EMPTY, ...kept };
  const [state, setState] = useState({ busy: false, fault: null });
  const given = { ...words, picks };
  const empty = !words.draft.prompt.trim() && !words.subject.trim();
  const set = (name) => (event) => setForm({ ...form, [name]: event.currentTarget.value });
  const put = (changes) => setForm({ ...form, ...changes });
  const send = async (event) => {
    event.preventDefault();
    if (state.busy || empty) return;
    setState({ busy: true, fault: null });
    try {
      onJob(await order(orderOf(form, given)));
      setState({ busy: false, fault: null });
    } catch (fault) {
      setState({ busy: false, fault });
    }
  };
  return html`<form class="card making" aria-labelledby="making-title" onSubmit=${send}>
    <h2 id="making-title">Picture</h2>
    <${Plain} form=${form} set=${set} />
    <${Added} form=${form} put=${put} words=${words} picks=${picks} />
    <${Advanced} form=${form} set=${set} put=${put} />
    ${state.fault && html`<${Fault} error=${state.fault} />`}
    <div class="row">
      <button type="submit" class="button button--main making__go" aria-disabled=${empty || state.busy ? "true" : undefined}>
        <${Icon} name="send" />${Number(form.count) > 1 ? `Make ${form.count} pictures` : "Make the picture"}
      </button>
      ${empty && html`<span class="soft small">Say first what it shows.</span>`}
    </div>
  </form>`;
}

function Plain({ form, set }) {
  const { value } = useAsync(() => get("/images/facets"), []);
  return html`<div class="making__plain">
    <${Field} label="Model" class="making__model" list="making-models" placeholder="What suits it" maxlength="400" autocomplete="off" value=${form.model} onInput=${set("model")} />
    <datalist id="making-models">${(value?.models ?? []).map(([name]) => html`<option key=${name} value=${name} />`)}</datalist>
    <${Field} label="Shape" as="select" value=${form.shape} onChange=${set("shape")}>${optionsOf(SHAPES, form.shape)}<//>
    <${Field} label="Quality" as="select" value=${form.quality} onChange=${set("quality")}>${optionsOf(QUALITIES, form.quality)}<//>
    <${Field} label="Pictures" type="number" min="1" max="8" required value=${form.count} onInput=${set("count")} />
    ${form.shape === OWN_SIZE &&
    html`<${Field} label="Width" type="number" min="64" max="4096" step="8" value=${form.width} onInput=${set("width")} />
      <${Field} label="Height" type="number" min="64" max="4096" step="8" value=${form.height} onInput=${set("height")} />`}
  </div>`;
}

const optionsOf = (pairs, chosen) => pairs.map(([value, title]) => html`<option key=${value} value=${value} selected=${value === chosen}>${title}</option>`);

/** Presets that the words do not have yet can go with the order. */
function Added({ form, put, words, picks }) {
  const open = missing(picks, words.draft);
  if (!picks.length) return null;
  if (!open.length) return html`<p class="soft small">The prompt was written with the picked presets.</p>`;
  const label = open.length === 1 ? `Add the preset ${open[0].name}` : `Add ${open.length} presets that are not in the prompt`;
  return html`<${Tick} label=${label} checked=${form.presets} onChange=${(presets) => put({ presets })} />`;
}

function Tick({ label, checked, onChange }) {
  return html`<${Field} class="field--check" label=${label} type="checkbox" checked=${checked} onChange=${(event) => onChange(event.currentTarget.checked)} />`;
}

function Advanced({ form, set, put }) {
  return html`<details class="making__more">
    <summary>More settings</summary>
    <div class="stack">
      <div class="fields">
        <${Field} label="Seed" type="number" min="0" max="4294967295" placeholder="Any" value=${form.seed} onInput=${set("seed")} />
        <${Field} label="Steps" type="number" min="1" max="200" placeholder="The model's" value=${form.steps} onInput=${set("steps")} />
        <${Field} label="Guidance" type="number" min="0" max="30" step="0.1" placeholder="The model's" value=${form.cfg} onInput=${set("cfg")} />
        <${Field} label="Best of" type="number" min="1" max="8" required value=${form.bestOf} onInput=${set("bestOf")} />
        <${Engine} form=${form} set=${set} />
        <${Field} label="Sampler" list="making-samplers" maxlength="60" autocomplete="off" placeholder="The model's" value=${form.sampler} onInput=${set("sampler")} />
        <${Field} label="Scheduler" list="making-schedulers" maxlength="60" autocomplete="off" placeholder="The model's" value=${form.scheduler} onInput=${set("scheduler")} />
        ${listed("making-samplers", SAMPLERS)}${listed("making-schedulers", SCHEDULERS)}
      </div>
      <${Field} label="LoRAs" maxlength="2000" value=${form.loras} onInput=${set("loras")} hint="Names with commas, each with its strength: detail:0.7" />
      <${Judging} form=${form} put=${put} />
    </div>
  </details>`;
}

const listed = (id, names) => html`<datalist id=${id}>${names.map((name) => html`<option key=${name} value=${name} />`)}</datalist>`;

/** Who draws it. One that was chosen and is gone stays in sight. */
function Engine({ form, set }) {
  const { value } = useAsync(() => get("/status"), []);
  const engines = value?.engines ?? [];
  const gone = form.engine && !engines.some(({ name }) => name === form.engine);
  return html`<${Field} label="Engine" as="select" value=${form.engine} onChange=${set("engine")}>
    <option value="">What suits it</option>
    ${gone && html`<option value=${form.engine}>${form.engine}</option>`}
    ${engines.map(({ name, available }) => html`<option key=${name} value=${name}>${available ? name : `${name} (not reached)`}</option>`)}
  <//>`;
}

function Judging({ form, put }) {
  const turn = (name) => (on) => put({ checks: on ? [...form.checks, name] : form.checks.filter((one) => one !== name) });
  return html`<fieldset class="group">
    <legend>Judges</legend>
    <${Tick} label="Have it judged against the prompt, and tried again" checked=${form.judged} onChange=${(judged) => put({ judged })} />
    ${form.judged && CHECKS.map(([name, title]) => html`<${Tick} key=${name} label=${title} checked=${form.checks.includes(name)} onChange=${turn(name)} />`)}
  </fieldset>`;
}
