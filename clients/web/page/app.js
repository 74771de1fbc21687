// The shell of the page: top bar, places by hash, theme, jobs, messages. What is shown in it lies in its own folders.

import { html, render, useCallback, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { isReachable, onReach, get } from "./lib/api.js";
import { isForPage } from "./lib/keys.js";
import { onNews, useJobs } from "./lib/live.js";
import { Icon, IconButton, Spinner, Toasts, takeAction, useAsync } from "./lib/parts.js";
import { go, hashOf, useRoute } from "./lib/route.js";
import { Arrivals } from "./gallery/arrivals.js";
import { Gallery } from "./gallery/gallery.js";
import { Help } from "./gallery/help.js";

const THEMES = ["auto", "light", "dark"];
const THEME_ICONS = { auto: "auto", light: "sun", dark: "moon" };
const SEARCH_WAIT = 150;

function chosenTheme() {
  return document.documentElement.dataset.theme ?? "auto";
}

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("atelier.theme", theme);
  } catch {
    // Kept for this visit only.
  }
}

function ThemeSwitch() {
  const [theme, keep] = useState(chosenTheme);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  const turn = () => {
    setTheme(next);
    keep(next);
  };
  return html`<${IconButton} icon=${THEME_ICONS[theme]} label=${`Theme: ${theme}. Switch to ${next}`} class="button--quiet" onClick=${turn} />`;
}

function Search({ route }) {
  const at = route.parts[0] === "studio" ? "" : (route.params.query ?? "");
  const [text, setText] = useState(at);
  const timer = useRef(0);
  const asked = useRef(at);
  useEffect(() => {
    if (at !== asked.current) setText(at); // back, forward, or a chip that was taken away
    asked.current = at;
  }, [at]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const ask = (words) => {
    clearTimeout(timer.current);
    const query = words.trim();
    if (query === asked.current && !route.parts.length) return;
    asked.current = query;
    const params = route.parts[0] === "studio" ? {} : route.params;
    go("/", { ...params, query }, { replace: !route.parts.length && Boolean(route.params.query) && Boolean(query) });
  };
  const typed = (event) => {
    const words = event.currentTarget.value;
    setText(words);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => ask(words), SEARCH_WAIT);
  };
  const submit = (event) => {
    event.preventDefault();
    ask(text);
  };
  return html`<form class="topbar__search" role="search" onSubmit=${submit}>
    <${Icon} name="search" />
    <input id="search" type="search" aria-label="Search pictures" placeholder="Search pictures" autocomplete="off" maxlength="500"
      value=${text} onInput=${typed} />
  </form>`;
}

/** A part of the page that is loaded when it is first wanted: a module's named export, null while it loads. */
function usePart(wanted, load, name) {
  const [part, setPart] = useState(null);
  useEffect(() => {
    if (!wanted || part) return;
    load().then(
      (module) => setPart(() => module[name]),
      (error) => {
        console.warn(`The page's part "${name}" could not be loaded:`, error);
        setPart(() => Missing);
      },
    );
  }, [wanted]);
  return part;
}

const loadStudio = () => import("./studio/studio.js");
const loadJobs = () => import("./jobs/jobs.js");

function Missing() {
  return html`<div class="empty"><${Icon} name="warn" />
    <h1>This part could not be loaded</h1>
    <p>The server may have stopped meanwhile. Load the page again.</p>
    <button type="button" class="button" onClick=${() => location.reload()}>Load again</button>
  </div>`;
}

function useReachable() {
  const [reachable, setReachable] = useState(isReachable);
  useEffect(() => onReach(setReachable), []);
  return reachable;
}

function Unreachable() {
  const [tries, setTries] = useState(0);
  const again = () => get("/jobs", { limit: 1 }).catch(() => {}).then(() => setTries(tries + 1));
  useEffect(() => {
    const timer = setTimeout(again, 3000);
    return () => clearTimeout(timer);
  }, [tries]);
  return html`<div class="notice" role="alert">The server does not answer. What you see may be old; it is asked again by itself.
    <button type="button" class="button button--small" onClick=${again}>Ask now</button>
  </div>`;
}

function useShellKeys({ help }) {
  useEffect(() => {
    const press = (event) => {
      if (!isForPage(event)) return;
      if (event.key === "/") document.getElementById("search")?.focus();
      else if (event.key === "?") help();
      else if (event.key === "z" && takeAction()) event.stopPropagation();
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [help]);
}

/** The way out, where a login led in. A plain form: the server answers with its login. */
function Leave() {
  const { value } = useAsync((signal) => get("/status", {}, { signal }), []);
  if (!value?.signed_in) return null;
  return html`<form method="post" action="/logout"><button type="submit" class="button button--icon button--quiet" aria-label="Log out" title="Log out"><${Icon} name="leave" /></button></form>`;
}

function TopBar({ route, jobsOpen, onJobs, onHelp }) {
  const jobs = useJobs();
  const busy = jobs.filter((job) => job.status === "running" || job.status === "queued").length;
  const inStudio = route.parts[0] === "studio";
  const link = (path, icon, label, current) => html`<a href=${hashOf(path)} aria-label=${label} aria-current=${current ? "page" : undefined}>
    <${Icon} name=${icon} /><span>${label}</span></a>`;
  return html`<header class="topbar">
    <a class="brand" href="#/" aria-label="Atelier, to the gallery"><img src="/static/icon.svg" alt="" /><span>Atelier</span></a>
    <${Search} route=${route} />
    <nav class="nav" aria-label="Parts of the page">
      ${link("/", "gallery", "Gallery", !inStudio)} ${link("/studio", "studio", "Studio", inStudio)}
    </nav>
    <div class="topbar__tools">
      <button type="button" class="button button--icon button--quiet" aria-expanded=${String(jobsOpen)} onClick=${onJobs}
        aria-label=${busy ? `Jobs, ${busy} at work` : "Jobs"} title="Jobs">
        <${Icon} name="jobs" />${busy > 0 && html`<span class="badge" aria-hidden="true">${busy}</span>`}
      </button>
      <${ThemeSwitch} />
      <${IconButton} icon="help" label="Keys" class="button--quiet topbar__help" onClick=${onHelp} />
      <${Leave} />
    </div>
  </header>`;
}

function App() {
  const route = useRoute();
  const reachable = useReachable();
  const [jobsOpen, setJobsOpen] = useState(false);
  const [helpOpen, setHelpOpen] = useState(false);
  const inStudio = route.parts[0] === "studio";
  const Studio = usePart(inStudio, loadStudio, "Studio");
  const JobsPanel = usePart(true, loadJobs, "JobsPanel");
  const jobs = useJobs();
  const help = useCallback(() => setHelpOpen(true), []);
  useShellKeys({ help });
  useEffect(() => onNews(() => {}), []);
  useEffect(() => {
    const open = () => setJobsOpen(true);
    addEventListener("atelier:jobs", open);
    return () => removeEventListener("atelier:jobs", open);
  }, []);
  return html`
    <a class="skip button" href="#main" onClick=${skip}>To the content</a>
    <${TopBar} route=${route} jobsOpen=${jobsOpen} onJobs=${() => setJobsOpen(!jobsOpen)} onHelp=${help} />
    ${!reachable && html`<${Unreachable} />`}
    <main id="main" tabindex="-1">
      <div hidden=${inStudio}><${Gallery} route=${route} shown=${!inStudio} /></div>
      ${inStudio && (Studio ? html`<${Studio} route=${route} />` : html`<div class="empty"><${Spinner} label="Loading the studio" /></div>`)}
    </main>
    ${JobsPanel && JobsPanel !== Missing && html`<${JobsPanel} open=${jobsOpen} onClose=${() => setJobsOpen(false)} jobs=${jobs} />`}
    <${Arrivals} />
    ${helpOpen && html`<${Help} onClose=${() => setHelpOpen(false)} />`}
    <${Toasts} />
  `;
}

// The hash is the place in the page, so the link may not become one.
function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

render(html`<${App} />`, document.getElementById("app"));
