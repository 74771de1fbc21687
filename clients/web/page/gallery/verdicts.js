// What the judges said, in their words and as small bars.

import { html } from "../vendor/htm-preact.js";
import { Icon } from "../lib/parts.js";

export function Verdicts({ verdicts }) {
  if (!verdicts.length) return null;
  return html`<section class="card verdicts" aria-label="Verdicts"><h2>Verdicts</h2>
    ${verdicts.map((verdict) => html`<${One} key=${verdict.judge} verdict=${verdict} />`)}
  </section>`;
}

function One({ verdict }) {
  const { judge, passed, score, reason, measures = {}, atoms = {} } = verdict;
  const [kind, icon, told] = passed === null ? ["none", "help", "did not judge"] : passed ? ["good", "check", "passed"] : ["bad", "warn", "not passed"];
  return html`<div class="judged">
    <h3><span class=${`verdict verdict--${kind}`}><${Icon} name=${icon} />${judge}<span class="unseen"> ${told}</span></span>
      ${score !== null && score !== undefined && html`<span class="judged__score">${short(score)}</span>`}</h3>
    <p class="small soft">${reason}</p>
    ${Object.keys(atoms).length > 0 && html`<${Bars} title=${`How well each part is met, by ${judge}`} rows=${atoms} />`}
    ${Object.keys(measures).length > 0 && html`<dl class="measures">${Object.entries(measures).map(([name, value]) => html`<div key=${name}><dt>${spoken(name)}</dt><dd>${short(value)}</dd></div>`)}</dl>`}
  </div>`;
}

/** Shares from 0 to 1 as bars. */
export function Bars({ title, rows }) {
  return html`<ul class="bars" aria-label=${title}>
    ${Object.entries(rows).map(([name, share]) => html`<li key=${name}>
      <span class="bars__name">${name}</span>
      <span class="bars__track" aria-hidden="true"><span class="bars__fill" data-low=${share < 0.5 ? "" : undefined} style=${{ width: `${Math.round(Math.max(0, Math.min(1, share)) * 100)}%` }}></span></span>
      <span class="bars__share">${Math.round(share * 100)} %</span>
    </li>`)}
  </ul>`;
}

const short = (value) => (Number.isInteger(value) ? String(value) : Number(value).toFixed(Math.abs(value) < 10 ? 3 : 1));
const spoken = (name) => name.replaceAll("_", " ");
