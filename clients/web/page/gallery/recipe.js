// How a picture was made: everything needed to make it again.

import { html } from "../vendor/htm-preact.js";
import { Icon, IconButton, copy } from "../lib/parts.js";
import { hashOf } from "../lib/route.js";

const APART = new Set(["graph", "notes", "prompt_id", "sampler", "scheduler", "steps", "cfg", "seconds"]);

export function RecipeCard({ info, again }) {
  const recipe = info.rendered ?? info.recipe ?? {};
  const rows = rowsOf(info, recipe);
  return html`<section class="card recipe" aria-label="Recipe">
    <header class="recipe__head"><h2>Recipe</h2>
      <div class="row"><button type="button" class="button button--small" onClick=${() => copy(asText(info, recipe, rows), "The recipe is copied.")}><${Icon} name="copy" />Copy</button>
        ${recipe.task !== "unknown" && html`<button type="button" class="button button--small" onClick=${again}><${Icon} name="again" />Make again</button>`}</div>
    </header>
    ${info.negative_prompt && html`<div class="recipe__negative"><h3>Not in it</h3><p>${info.negative_prompt}</p></div>`}
    <dl class="recipe__rows">${rows.map(([name, value, more]) => html`<div key=${name}><dt>${name}</dt><dd>${more?.href ? html`<a href=${more.href}>${value}</a>` : value}
      ${more?.copied && html`<${IconButton} icon="copy" label=${`Copy ${name.toLowerCase()}`} class="button--quiet button--small" onClick=${() => copy(String(value))} />`}</dd></div>`)}</dl>
    ${info.workflow && html`<details class="recipe__graph"><summary>ComfyUI graph</summary>
      <button type="button" class="button button--small" onClick=${() => copy(JSON.stringify(info.workflow, null, 2), "The graph is copied.")}><${Icon} name="copy" />Copy the graph</button></details>`}
  </section>`;
}

function rowsOf(info, recipe) {
  const facts = info.facts ?? {};
  const steps = facts.steps ?? recipe.steps;
  const told = [
    ["Task", recipe.task && !["txt2img", "unknown"].includes(recipe.task) ? recipe.task.replaceAll("_", " ") : null],
    ["Model", info.model, { href: info.model && hashOf("/", { model: info.model }) }],
    ["LoRAs", (recipe.loras ?? []).map((lora) => `${lora.name} × ${lora.strength}`).join(", ")],
    ["Size", `${info.width} × ${info.height}`],
    ["Steps", steps],
    ["CFG", facts.cfg ?? recipe.cfg],
    ["Sampler", [facts.sampler ?? recipe.sampler, facts.scheduler ?? recipe.scheduler].filter(Boolean).join(", ")],
    ["Denoise", recipe.denoise],
    ["Seed", recipe.task === "unknown" ? null : info.seed, { copied: true }],
    ["Engine", info.engine, { href: info.engine && hashOf("/", { engine: info.engine }) }],
    ["Attempt", info.attempt > 1 ? info.attempt : null],
    ["Took", facts.seconds && `${Number(facts.seconds).toFixed(1)} s`],
    ["Model hash", info.model_hash, { copied: true }],
    ["File", info.file_size && `${sized(info.file_size)}, ${info.media_type}`],
    ["Id", info.image_id, { copied: true }],
  ];
  const others = Object.entries(facts).filter(([name, fact]) => !APART.has(name) && ["string", "number"].includes(typeof fact));
  return [...told, ...others.map(([name, fact]) => [titled(name), fact])].filter(([, value]) => value !== null && value !== undefined && value !== "");
}

const titled = (name) => name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");

function asText(info, recipe, rows) {
  const lines = [info.prompt, info.negative_prompt && `Negative prompt: ${info.negative_prompt}`];
  return [...lines, ...rows.map(([name, value]) => `${name}: ${value}`)].filter(Boolean).join("\n");
}

function sized(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1024))} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
