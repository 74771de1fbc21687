// The studio's HTTP routes as plain functions. Every failure is an ApiError whose message can be shown to a person.

export const BASE = "/api";
const SILENT = "The server does not answer. It may be starting, or stopped.";

export class ApiError extends Error {
  /** type: the server's word for the kind of error, "unreachable" when it did not answer. status: HTTP status, or 0. */
  constructor(message, type = "unknown", status = 0) {
    super(message);
    this.name = "ApiError";
    this.type = type;
    this.status = status;
  }
}

const listeners = new Set();
let reachable = true;

/** Tells whether the server answers, at each change. Returns the function that ends it. */
export function onReach(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function reached(now) {
  if (now === reachable) return;
  reachable = now;
  for (const listener of listeners) listener(now);
}

export const isReachable = () => reachable;

/** GET a JSON answer. Parameters that are undefined, null or "" are left out. */
export function get(path, params = {}, { signal } = {}) {
  return send("GET", path + query(params), undefined, { signal });
}

/** Any request with a JSON body (or none), for its JSON answer. */
export async function send(method, path, body, { signal } = {}) {
  const init = { method, signal, headers: { Accept: "application/json" }, credentials: "same-origin" };
  init.keepalive = method === "PATCH" || method === "DELETE"; // done though the page is left at once
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers["Content-Type"] = "application/json";
  }
  return answerOf(await ask(path, init));
}

/** A picture file into the gallery; answers with its row. `kind`: its media type. `sent(share)` is told how much of it is sent, from 0 to 1. */
export function upload(file, kind, { signal, sent } = {}) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest(); // fetch does not tell how far it is
    request.open("POST", `${BASE}/images`);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Content-Type", kind);
    request.setRequestHeader("X-Filename", encodeURIComponent(file.name));
    request.upload.onprogress = (event) => event.lengthComputable && sent?.(event.loaded / event.total);
    request.onabort = () => failed(new DOMException("It was stopped.", "AbortError"));
    request.onerror = () => {
      reached(false);
      failed(new ApiError(SILENT, "unreachable"));
    };
    request.onload = () => {
      const { status, statusText, responseText } = request;
      reached(true);
      answerOf(new Response(responseText, { status, statusText })).then(done, failed);
    };
    signal?.addEventListener("abort", () => request.abort());
    if (signal?.aborted) request.onabort();
    else request.send(file);
  });
}

/** Server-sent events over fetch: `on(data, name)` for each. Resolves when the server ends the stream. */
export async function events(method, path, body, { on, signal } = {}) {
  const init = { method, signal, headers: { Accept: "text/event-stream" }, credentials: "same-origin" };
  if (body !== undefined && body !== null) {
    init.body = JSON.stringify(body);
    init.headers["Content-Type"] = "application/json";
  }
  const response = await ask(path, init);
  if (!response.ok) throw await faultOf(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read().catch((fault) => {
      if (fault.name === "AbortError") throw fault;
      throw new ApiError("The connection broke before the answer was complete.", "unreachable");
    });
    if (done) return;
    const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) tell(block, on);
  }
}

function tell(block, on) {
  let name = "message";
  const lines = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("data:")) lines.push(line.slice(5).trimStart());
    else if (line.startsWith("event:")) name = line.slice(6).trim();
  }
  if (lines.length) on?.(JSON.parse(lines.join("\n")), name);
}

/** Address of a picture: its preview with that longest edge (320, 640, 1024), or without one the original. */
export function imageUrl(id, edge) {
  const at = `${BASE}/images/${encodeURIComponent(id)}`;
  return edge ? `${at}/preview?edge=${edge}` : `${at}/file`;
}

export const downloadUrl = (id) => `${imageUrl(id)}?download=1`;

export function query(params) {
  const known = Object.entries(params).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(known).toString();
  return text ? `?${text}` : "";
}

async function ask(path, init) {
  let response;
  try {
    response = await fetch(BASE + path, init);
  } catch (fault) {
    if (fault.name === "AbortError") throw fault;
    reached(false);
    throw new ApiError(SILENT, "unreachable");
  }
  reached(true);
  return response;
}

async function answerOf(response) {
  if (!response.ok) throw await faultOf(response);
  if (response.status === 204) return null;
  return response.json();
}

async function faultOf(response) {
  if (response.status === 401) location.reload(); // the login is over: the server shows its form
  let told = {};
  try {
    told = await response.json();
  } catch {
    // Not one of our answers (a proxy's page): the status alone is told.
  }
  const message = told.message || told.error || `The server answered ${response.status} ${response.statusText}`.trim();
  return new ApiError(String(message), told.type || "unknown", response.status);
}
