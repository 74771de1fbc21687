/** Studio: the page on which words become a prompt, and a prompt a picture that is watched while it is drawn. */
import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { useJobs } from "../lib/live.js";
import { Icon } from "../lib/parts.js";
import { go } from "../lib/route.js";
import { JobCard } from "../jobs/card.js";
import { Compose } from "./compose.js";
import { History } from "./history.js";
import { useKept } from "./kept.js";
import { Making } from "./making.js";
import { usePicks } from "./picks.js";
import { Presets } from "./presets.js";
import { Result } from "./result.js";
import { useWords } from "./words.js";

const WIDE = "(min-width: 900px)";

/** `route`: where the page is; its parameter `prompt` is taken over as what the picture shows. */
export function Studio({ route }) {
  const picks = usePicks();
  const words = useWords(picks);
  const [job, setJob] = useKept("job", null);
  useEffect(() => takeOver(route.params.prompt, words), [route.params.prompt]);
  useEffect(() => {
    document.title = "Studio · Atelier";
    return () => (document.title = "Atelier");
  }, []);
  return html`<div class="studio page-pad">
    <h1 class="unseen">Prompt studio</h1>
    <div class="studio__column">
      <${Compose} words=${words} picks=${picks} />
      <${Folding} title="Presets" name="presets" count=${picks.picks.length}><${Presets} picks=${picks} /><//>
      <${Folding} title="History" name="history" shut><${History} take=${words.recall} news=${words.draft.written} /><//>
    </div>
    <div class="studio__column">
      <${Live} id=${job} onJob=${setJob} />
      <${Result} words=${words} />
      <${Making} words=${words} picks=${picks.picks} onJob=${setJob} />
    </div>
  </div>`;
}

function takeOver(prompt, words) {
  if (!prompt) return;
  words.setMode("quick");
  words.setSubject(prompt);
  go("/studio", {}, { replace: true });
}

/** A part that can be folded away; on narrow screens it is, until it is asked for. */
function Folding({ title, name, count = 0, shut = false, children }) {
  const [open, setOpen] = useState(!shut && matchMedia(WIDE).matches);
  return html`<section class="card folding" aria-labelledby=${`fold-${name}`}>
    <h2 id=${`fold-${name}`}>
      <button type="button" aria-expanded=${String(open)} aria-controls=${`fold-${name}-body`} onClick=${() => setOpen(!open)}>
        ${title}${count > 0 && html`<span class="folding__count">${count}<span class="unseen"> picked</span></span>`}<${Icon} name="down" />
      </button>
    </h2>
    <div id=${`fold-${name}-body`} class="folding__body" hidden=${!open}>${open && children}</div>
  </section>`;
}

/** On wide screens the column scrolls by itself, beside words that stay where they are. */
function bring(box) {
  if (matchMedia(WIDE).matches) box.parentElement.scrollTop = 0;
  else box.scrollIntoView({ block: "start" });
}

/** The picture that was ordered last, as it comes; one that is ordered now is brought into view. */
function Live({ id, onJob }) {
  const rows = useJobs();
  const known = useRef(null);
  const first = useRef(id);
  const box = useRef(null);
  const row = rows.find((one) => one.job_id === id);
  if (row) known.current = row;
  const shown = row ?? (known.current?.job_id === id ? known.current : null);
  useEffect(() => {
    if (shown && id !== first.current) bring(box.current);
  }, [id, Boolean(shown)]);
  if (!shown) return null;
  return html`<section class="live" aria-label="The picture" ref=${box}><${JobCard} key=${id} row=${shown} onJob=${onJob} /></section>`;
}
