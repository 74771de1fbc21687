/** What can be done with a job and with its picture: sent, stopped, made again, varied. */
import { get, send } from "../lib/api.js";

/** How far a variation goes from its picture: the composition stays, the rest may change. */
const VARIED = 0.6;
const MOST_KEPT = 40;

const sent = new Map();

/** Send an order for a picture; answers with the job's id. */
export async function order(body) {
  const { job_id: id } = await send("POST", "/jobs", body);
  sent.set(id, body);
  if (sent.size > MOST_KEPT) sent.delete(sent.keys().next().value);
  return id;
}

/** What was ordered with that job, where this page did. */
export const ordered = (id) => sent.get(id);

/** Answers with what was really stopped. */
export const stop = (id) => send("DELETE", `/jobs/${encodeURIComponent(id)}`);

/** The same recipe with other luck; answers with the job's id. */
export async function again(imageId) {
  const { job_id: id } = await send("POST", `/images/${encodeURIComponent(imageId)}/regenerate`, { seed: -1 });
  return id;
}

/** A picture near that one, by the same model; answers with the job's id. */
export async function vary(imageId) {
  const { recipe = {}, rendered = {}, ...info } = await get(`/images/${encodeURIComponent(imageId)}`);
  const prompt = rendered.prompt || recipe.prompt || info.prompt;
  const negative = rendered.negative || recipe.negative || "";
  const model = recipe.model || rendered.model;
  const body = { task: "img2img", input_image: imageId, denoise: VARIED, prompt };
  return order({ ...body, ...(negative && { negative_prompt: negative }), ...(model && { model }) });
}
