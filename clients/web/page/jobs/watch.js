/** One job, followed while somebody looks at it: its progress, its developing picture, its end. */
import { useEffect, useState } from "../vendor/htm-preact.js";
import { BASE, events, get } from "../lib/api.js";

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8000;
/** A glimpse is asked for a little later than it is told of: of a job that ends meanwhile there is none any more. */
const GLIMPSE_WAIT = 120;
const NOTHING = { progress: null, preview: "", answer: null, fault: null, lost: false };

/** The job's own states, as its answers tell them. */
export const isOver = (status) => ["success", "failed", "cancelled", "interrupted"].includes(status);

const place = (id) => `/jobs/${encodeURIComponent(id)}`;

/**
 * Follow a job until its end or until `signal` is aborted; `told` gets the changes. A connection that is lost is taken
 * up again: the server may have been restarted, and the job gone on.
 */
export async function follow(id, told, signal) {
  let glimpses = 0;
  let over = false;
  let pause = FIRST_PAUSE;
  let soon = 0;
  const glimpse = () => {
    soon = 0;
    glimpses += 1;
    if (!over && !signal.aborted) told({ preview: `${BASE}${place(id)}/preview?n=${glimpses}` });
  };
  const on = (event) => {
    pause = FIRST_PAUSE;
    if (event.error && event.type) return; // the server is stopped; the stream ends with it
    over = over || Boolean(event.done);
    if (event.preview) soon ||= setTimeout(glimpse, GLIMPSE_WAIT);
    told({ lost: false, ...changes(event) });
  };
  while (!signal.aborted && !over) {
    const fault = await events("GET", `${place(id)}/events`, undefined, { on, signal }).then(() => null, (error) => error);
    if (signal.aborted || over) return;
    if (fault?.status === 404) return told({ fault, lost: false });
    told({ lost: true });
    await paused(pause, signal);
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  }
}

/** The answer of a job that is over, asked for until the server gives it. */
async function ask(id, told, signal) {
  for (let pause = FIRST_PAUSE; !signal.aborted; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
    const news = await get(place(id), {}, { signal }).then((answer) => ({ answer, lost: false }), (fault) => ({ fault }));
    if (news.fault?.type !== "unreachable") return told(news);
    told({ lost: true });
    await paused(pause, signal);
  }
}

function changes(event) {
  if (event.done) return { answer: event };
  return event.progress ? { progress: event.progress } : {};
}

/** Until then, or until the browser is online again, or nobody waits any more. */
function paused(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end);
    addEventListener("online", end);
    function end() {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      removeEventListener("online", end);
      resolve();
    }
  });
}

/** `{progress, preview, answer, fault, lost}` of a job; `live`: whether to follow it, else its answer is asked for. */
export function useJob(id, live) {
  const [state, setState] = useState(NOTHING);
  useEffect(() => {
    const watching = new AbortController();
    const told = (news) => !watching.signal.aborted && setState((before) => ({ ...before, ...news }));
    setState(NOTHING);
    if (id && live) follow(id, told, watching.signal);
    else if (id) ask(id, told, watching.signal);
    return () => watching.abort();
  }, [id, live]);
  return state;
}
