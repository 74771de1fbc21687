/** What a job says of itself, in words for people. Pure. */

const STATES = {
  queued: "Waiting",
  running: "At work",
  success: "Done",
  failed: "Failed",
  cancelled: "Stopped",
  interrupted: "Interrupted",
};

export const stateOf = (status) => STATES[status] ?? status;

/** "about 20 s left", "about 3 min left"; "" where it is not known. */
export function leftOf(seconds) {
  if (seconds === undefined || seconds === null) return "";
  if (seconds < 1) return "a moment left";
  if (seconds < 90) return `about ${Math.round(seconds)} s left`;
  return `about ${Math.round(seconds / 60)} min left`;
}

/** Where a job stands, in parts: its place in the queue, attempt, step, time left. */
export function standing(progress) {
  const { ahead, attempt, step, steps, seconds_left: left, message } = progress;
  const parts = [];
  if (ahead) parts.push(ahead === 1 ? "one before it" : `${ahead} before it`);
  if (attempt > 1) parts.push(`attempt ${attempt}`);
  if (steps) parts.push(`step ${step} of ${steps}`);
  if (leftOf(left)) parts.push(leftOf(left));
  if (message && !parts.some((part) => message.toLowerCase().includes(part))) parts.unshift(message);
  return parts;
}

/** "accepted", "refused" or "unjudged": what the judges said of the picture. */
export function verdictOf(passed) {
  if (passed === true) return { kind: "good", word: "Accepted", icon: "check" };
  if (passed === false) return { kind: "bad", word: "Not accepted", icon: "warn" };
  return { kind: "none", word: "Not judged", icon: "minus" };
}

/** Scores are told with two digits: a third says nothing about a picture. */
export const scoreOf = (score) => (score === undefined || score === null ? "" : `score ${score.toFixed(2)}`);

/** Every picture of an answer, the chosen ones first. */
export function picturesOf(answer, row) {
  const several = answer?.images ?? (answer?.image_id ? [answer] : null);
  if (several) return [...several].sort((one, other) => Number(other.chosen ?? 1) - Number(one.chosen ?? 1));
  return (row?.image_ids ?? []).map((id) => ({ image_id: id, passed: row.passed, score: row.score }));
}

/** Why the judges said so. */
export const reasonOf = (answer) => answer?.validation?.reason ?? answer?.validation?.skipped ?? "";

/** Without the folders of the server's machine, which are nobody's business on a page: the last name of a path stays. */
export const withoutFolders = (text) => (text ?? "").replace(FOLDERS, "…/");

const FOLDERS = /(?<![\w:/.])(?:file:\/\/)?(?:[A-Za-z]:[\\/]|~?\/)(?:[^\s"'`:;,()<>|\\/]+[\\/])+/g;
