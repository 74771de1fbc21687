/** A prompt that is being written: its words as they come, its end, and the way to stop it. */
import { useCallback, useEffect, useReducer, useRef } from "../vendor/htm-preact.js";
import { events } from "../lib/api.js";

const IDLE = { writing: false, text: "", fault: null };

/** How a stream's event changes what is shown. Pure. */
export function heard(state, event) {
  if (event.begin) return { writing: true, text: "", fault: null };
  if (event.restart) return { ...state, text: "" };
  if (event.token !== undefined) return { ...state, text: state.text + event.token };
  if (event.fault) return { ...state, writing: false, fault: event.fault };
  if (event.over) return { ...IDLE };
  return state;
}

/**
 * `{writing, text, fault, write, stop, dismiss}`. `write(path, body, instead)` answers with the whole answer, or null when
 * it was stopped or failed; `instead(fault)` may give another body that is sent then.
 */
export function useWriting() {
  const [state, tell] = useReducer(heard, IDLE);
  const running = useRef(null);
  const stop = useCallback(() => running.current?.abort(), []);
  useEffect(() => stop, []);
  const write = useCallback(async (path, body, instead = () => null) => {
    stop();
    const mine = new AbortController();
    running.current = mine;
    const current = (event) => running.current === mine && tell(event);
    current({ begin: true });
    try {
      const answer = await answered(path, body, current, mine.signal).catch((fault) => {
        const other = instead(fault);
        if (!other) throw fault;
        return answered(path, other, current, mine.signal);
      });
      current({ over: true });
      return answer;
    } catch (fault) {
      current(fault.name === "AbortError" ? { over: true } : { fault });
      return null;
    }
  }, []);
  return { ...state, write, stop, dismiss: () => tell({ over: true }) };
}

/** Raises what the stream tells of an error, with the message and the type that it has. */
async function answered(path, body, tell, signal) {
  let answer = null;
  let failed = null;
  const on = (event) => {
    if (event.done) answer = event;
    else if (event.error) failed = Object.assign(new Error(event.message), { type: event.type, status: event.status });
    else tell(event);
  };
  await events("POST", path, body, { on, signal });
  if (failed) throw failed;
  if (!answer) throw new Error("The connection broke before the prompt was complete. Send it again.");
  return answer;
}
