/** The prompts that were written before: searched, taken over, deleted. */
import { html, useCallback, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { get, send } from "../lib/api.js";
import { Fault, Icon, IconButton, Spinner, tellFault, toast } from "../lib/parts.js";

const PAGE = 20;
const SEARCH_WAIT = 200;
/** A deletion is final at the server, so it waits here as long as it can be taken back. */
const UNDO_WAIT = 8000;
const NOTHING = { rows: [], total: 0, cursor: null, error: null, loading: true };

/** `take(row)`: the prompt is worked on again. `news`: a number that grows when another prompt was written. */
export function History({ take, news }) {
  const [words, setWords] = useState("");
  const { rows, total, cursor, error, loading, more, again } = usePages(words, news);
  const { hidden, remove } = useRemoval(again);
  const shown = rows.filter((row) => !hidden.has(row.id));
  return html`<div class="history">
    <div class="presets__search">
      <${Icon} name="search" />
      <input type="search" class="field__control" aria-label="Search history" placeholder="Search history" autocomplete="off" maxlength="500"
        value=${words} onInput=${(event) => setWords(event.currentTarget.value)} />
    </div>
    <p class="soft small" role="status">${loading ? "" : `${total - hidden.size} ${words.trim() ? "found" : "prompts"}`}</p>
    ${error && html`<${Fault} error=${error} onRetry=${again} />`}
    <ul class="history__rows">${shown.map((row) => html`<${Entry} key=${row.id} row=${row} take=${take} remove=${remove} />`)}</ul>
    ${loading && html`<${Spinner} label="Loading the history" />`}
    ${cursor && !loading && html`<button type="button" class="button button--small" onClick=${more}>Older prompts</button>`}
  </div>`;
}

const familyOf = ({ family, model }) => (family === "unknown" ? "" : family || model);

function Entry({ row, take, remove }) {
  const when = new Date(row.created);
  const how = [row.mode === "chat" ? "chat" : "", familyOf(row), row.by].filter(Boolean).join(" · ");
  return html`<li class="entry">
    <button type="button" class="entry__take" disabled=${Boolean(row.fault)} onClick=${() => take(row)} aria-label=${`Take over: ${row.input}`}>
      <span class="entry__input">${row.input}</span>
      <span class=${row.fault ? "entry__fault" : "entry__output"}>${row.fault || row.output}</span>
      <span class="entry__told"><time datetime=${row.created}>${when.toLocaleString([], { dateStyle: "medium", timeStyle: "short" })}</time> ${how}</span>
    </button>
    <${IconButton} icon="trash" label=${`Delete: ${row.input}`} class="button--quiet button--small" onClick=${() => remove(row)} />
  </li>`;
}

/** Pages of the history that match the words, the next ones added when asked for. */
function usePages(words, news) {
  const [state, setState] = useState(NOTHING);
  const [round, setRound] = useState(0);
  const asked = useRef(null);
  const ask = useCallback((query, cursor) => {
    asked.current?.abort();
    const mine = (asked.current = new AbortController());
    const put = (change) => !mine.signal.aborted && setState(change);
    put((before) => ({ ...before, error: null, loading: true }));
    get("/history", { q: query, limit: PAGE, cursor }, { signal: mine.signal }).then(
      (page) => put((before) => joined(cursor ? before.rows : [], page)),
      (error) => put((before) => ({ ...before, error, loading: false })),
    );
  }, []);
  useEffect(() => {
    const timer = setTimeout(() => ask(words.trim()), words ? SEARCH_WAIT : 0);
    return () => clearTimeout(timer);
  }, [words, news, round]);
  useEffect(() => () => asked.current?.abort(), []);
  return { ...state, more: () => ask(words.trim(), state.cursor), again: () => setRound((last) => last + 1) };
}

const joined = (before, page) => ({ rows: [...before, ...page.prompts], total: page.total, cursor: page.cursor ?? null, error: null, loading: false });

/** Entries that are gone from sight at once, and from the server when they can no longer be taken back. */
function useRemoval(again) {
  const [hidden, setHidden] = useState(new Set());
  const waiting = useRef(new Map());
  const show = (id) => setHidden((before) => new Set([...before].filter((one) => one !== id)));
  const final = async (id) => {
    clearTimeout(waiting.current.get(id));
    if (!waiting.current.delete(id)) return;
    await send("DELETE", `/history/${encodeURIComponent(id)}`).catch((fault) => fault.status !== 404 && tellFault(fault));
    again();
    show(id);
  };
  useEffect(() => {
    const all = () => [...waiting.current.keys()].forEach(final);
    addEventListener("pagehide", all);
    return () => {
      removeEventListener("pagehide", all);
      all();
    };
  }, []);
  const remove = (row) => {
    setHidden((before) => new Set([...before, row.id]));
    waiting.current.set(row.id, setTimeout(() => final(row.id), UNDO_WAIT));
    toast("The prompt was deleted.", { action: "Undo", onAction: () => undone(row.id) });
  };
  const undone = (id) => {
    clearTimeout(waiting.current.get(id));
    if (waiting.current.delete(id)) show(id);
  };
  return { hidden, remove };
}
