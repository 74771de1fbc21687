// What can be done to pictures, and the news of it for every part of the page that shows them.

import { send, get } from "../lib/api.js";
import { tellFault, toast } from "../lib/parts.js";

const hearers = new Set();
const undo = new Map(); // id of a picture in the trash -> takes its offer to undo off the page
let pending = 0;

/** `hear(change)` for {row}, {gone: [ids]} and {back: [ids]}. Returns the function that ends it. */
export function onChange(hear) {
  hearers.add(hear);
  return () => hearers.delete(hear);
}

/** Whether the server still works at something that was asked here. */
export const isPending = () => pending > 0;

const tell = (change) => hearers.forEach((hear) => hear(change));
const at = (id) => `/images/${encodeURIComponent(id)}`;
export const counted = (count, noun = "picture") => `${count.toLocaleString()} ${noun}${count === 1 ? "" : "s"}`;

async function doing(work) {
  pending += 1;
  try {
    return await work;
  } finally {
    pending -= 1;
  }
}

/** Change tags or the favourite mark of one picture; shown at once, taken back when the server refuses. */
export async function change(row, body) {
  tell({ row: { ...row, ...expected(row, body) } });
  try {
    const told = await doing(send("PATCH", at(row.image_id), body));
    tell({ row: told });
    return told;
  } catch (fault) {
    tell({ row });
    tellFault(fault);
    return null;
  }
}

function expected(row, { favourite, add_tags: add = [], remove_tags: remove = [] }) {
  const tags = new Set(row.tags ?? []);
  add.forEach((tag) => tags.add(tag.trim().toLocaleLowerCase()));
  remove.forEach((tag) => tags.delete(tag));
  return { image_id: row.image_id, favourite: favourite ?? row.favourite, tags: [...tags].sort() };
}

export const setFavourite = (row) => change(row, { favourite: !row.favourite });

export async function changeAll(rows, body, told) {
  const done = await Promise.all(rows.map((row) => change(row, body)));
  const count = done.filter(Boolean).length;
  if (count) toast(`${counted(count)} ${told}.`);
}

/** Into the trash, with a way back. */
export async function remove(ids) {
  tell({ gone: ids });
  const done = await each(ids, (id) => send("DELETE", at(id)));
  if (done.failed.length) tell({ back: done.failed });
  if (done.fault) tellFault(done.fault);
  if (!done.ids.length) return;
  const told = done.ids.length === 1 ? "The picture is in the trash." : `${counted(done.ids.length)} are in the trash.`;
  const off = toast(told, { action: "Undo", onAction: () => bringBack(done.ids) });
  done.ids.forEach((id) => undo.set(id, off));
}

// What is out of the trash is not offered any more to be taken out.
function settled(ids) {
  for (const id of ids) {
    undo.get(id)?.();
    undo.delete(id);
  }
}

/** Out of the trash, to where they were. */
export async function bringBack(ids) {
  const done = await each(ids, (id) => send("POST", `${at(id)}/restore`));
  settled(done.ids);
  if (done.ids.length) tell({ back: done.ids });
  if (done.fault) tellFault(done.fault);
  else toast(ids.length === 1 ? "The picture is back." : `${counted(ids.length)} are back.`);
  return done.ids;
}

/** From the trash view: they leave it. */
export async function restore(ids) {
  tell({ gone: ids });
  const done = await each(ids, (id) => send("POST", `${at(id)}/restore`));
  settled(done.ids);
  if (done.failed.length) tell({ back: done.failed });
  if (done.fault) tellFault(done.fault);
  else toast(ids.length === 1 ? "The picture is back in the gallery." : `${counted(ids.length)} are back in the gallery.`);
}

// A few at a time: a browser opens six connections, and pictures want some of them.
async function each(ids, ask) {
  const left = [...ids];
  const done = { ids: [], failed: [], fault: null };
  const worker = async () => {
    for (let id = left.shift(); id !== undefined; id = left.shift()) {
      try {
        await doing(ask(id));
        done.ids.push(id);
      } catch (fault) {
        done.failed.push(id);
        done.fault = fault;
      }
    }
  };
  await Promise.all([worker(), worker(), worker()]);
  return done;
}

export const info = (id, signal) => get(at(id), {}, { signal });
