/** The state of the words: what was typed, what was written, and the conversation about it. */
import { useCallback, useState } from "../vendor/htm-preact.js";
import { send } from "../lib/api.js";
import { tellFault } from "../lib/parts.js";
import { useKept } from "./kept.js";
import { useWriting } from "./stream.js";

/** As many as stay in view after a reload. */
const MOST_TURNS = 30;
const NO_TALK = { id: null, turns: [] };
const NONE = { prompt: "", negative: "", written: null, picked: [] };

/**
 * `draft` is what a picture is drawn from: `prompt` and `negative` as they are now, `written` the answer that they come
 * from (null when typed by hand), `picked` the paths of the presets that are in it.
 */
export function useWords(picks) {
  const typed = useTyped();
  const [draft, setDraft] = useKept("draft", NONE);
  const [talk, setTalk] = useKept("talk", NO_TALK);
  const [said, setSaid] = useState(null);
  const stream = useWriting();
  const paths = picks.picks.map((one) => one.path);
  const common = { presets: paths, model: typed.family, writer: typed.writer };
  const take = useCallback((answer, picked = answer.presets ?? []) => setDraft(draftOf(answer, picked)), []);
  const quick = async () => {
    const negative = typed.avoid.trim();
    const answer = await stream.write("/generate-stream", { input: typed.subject, negative, ...common });
    if (answer) take(answer, paths);
  };
  const say = async (message) => {
    setSaid(message);
    const known = talk.id ? { conversation_id: talk.id } : {};
    const instead = (fault) => (talk.id && fault.type === "not_found" ? { message, ...common } : null);
    const answer = await stream.write("/chat-stream", { message, ...known, ...common }, instead);
    setSaid(null);
    if (!answer) return false;
    setTalk((before) => grown(before, message, answer));
    take(answer, paths);
    return true;
  };
  const anew = async () => {
    const known = talk.id ? { conversation_id: talk.id } : {};
    setTalk(NO_TALK);
    await send("POST", "/reset", known).catch(tellFault);
  };
  const recall = (row) => {
    typed.setMode("quick");
    typed.setSubject(row.input);
    take({ ...row, result: row.output });
  };
  const edit = (changes) => setDraft((before) => ({ ...before, ...changes }));
  const does = { quick, say, anew, take, recall, edit, clear: () => setDraft(NONE) };
  return { ...typed, ...stream, ...does, draft, said, written: draft.written, turns: talk.turns };
}

function useTyped() {
  const [mode, setMode] = useKept("mode", "quick");
  const [subject, setSubject] = useKept("subject", "");
  const [avoid, setAvoid] = useKept("avoid", "");
  const [family, setFamily] = useKept("family", "auto");
  const [writer, setWriter] = useKept("writer", "auto");
  return { mode, setMode, subject, setSubject, avoid, setAvoid, family, setFamily, writer, setWriter };
}

function draftOf(answer, picked) {
  return { prompt: answer.result, negative: answer.negative_prompt ?? "", written: answer, picked };
}

/** A conversation that began anew keeps nothing of what was said before. */
function grown(before, message, answer) {
  const same = answer.conversation_id === before.id && !answer.reset;
  const turns = same ? before.turns : [];
  const key = (turns.at(-1)?.key ?? 0) + 1;
  return { id: answer.conversation_id, turns: [...turns, { key, message, answer }].slice(-MOST_TURNS) };
}
