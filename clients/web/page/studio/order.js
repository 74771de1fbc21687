/** The order for a picture, made from the form, the words and the presets. Pure. */

export const EMPTY = {
  model: "",
  shape: "",
  width: "",
  height: "",
  quality: "balanced",
  count: "1",
  seed: "",
  steps: "",
  cfg: "",
  sampler: "",
  scheduler: "",
  engine: "",
  loras: "",
  bestOf: "1",
  judged: true,
  checks: [],
  presets: true,
};
export const OWN_SIZE = "own";

/** The picked presets that are not in the words yet. */
export const missing = (picks, draft) => (draft.written ? picks.filter((one) => !draft.picked.includes(one.path)) : picks);

/** What is sent to have the picture drawn; what was left open is left out, so that the model's own counts. */
export function orderOf(form, { draft, subject, avoid, picks }) {
  const prompt = draft.prompt.trim() || subject.trim();
  const negative = draft.prompt.trim() ? draft.negative.trim() : avoid.trim();
  const presets = form.presets ? missing(picks, draft).map((one) => one.path) : [];
  return filled({
    prompt,
    negative_prompt: negative,
    preset: presets.length ? presets : undefined,
    model: form.model.trim(),
    ...sizeOf(form),
    quality: form.quality,
    count: number(form.count),
    seed: number(form.seed),
    steps: number(form.steps),
    cfg: number(form.cfg),
    sampler: form.sampler.trim(),
    scheduler: form.scheduler.trim(),
    engine: form.engine,
    loras: listed(form.loras),
    ...judging(form),
  });
}

function sizeOf({ shape, width, height }) {
  return shape === OWN_SIZE ? { width: number(width), height: number(height) } : { aspect: shape };
}

function judging({ judged, checks, bestOf }) {
  if (!judged) return { validate: false };
  return { checks: checks.length ? ["clip", ...checks] : undefined, best_of: number(bestOf) };
}

const number = (text) => (String(text).trim() === "" ? undefined : Number(text));

function listed(text) {
  const names = text.split(/[,\n]/).map((name) => name.trim()).filter(Boolean);
  return names.length ? names : undefined;
}

const filled = (body) => Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined && value !== ""));
