// What happens in the studio while the page is open: one connection, shared by all who listen, taken up again when lost.

import { useEffect, useState } from "../vendor/htm-preact.js";
import { events, reached } from "./api.js";

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 15000;

const hearers = new Set();
let jobs = [];
let running = false;

/** `hear(news)` for each piece of news: {jobs}, {images: true}. Returns the function that ends it. */
export function onNews(hear) {
  hearers.add(hear);
  if (!running) follow();
  return () => hearers.delete(hear);
}

/** The jobs' rows, newest first, as they change. */
export function useJobs() {
  const [rows, setRows] = useState(jobs);
  useEffect(() => onNews((news) => news.jobs && setRows(news.jobs)), []);
  return rows;
}

/** Ask the shell to open the jobs panel. */
export const showJobs = () => dispatchEvent(new CustomEvent("atelier:jobs"));

async function follow() {
  running = true;
  let wait = FIRST_WAIT;
  for (let again = false; ; again = true) {
    try {
      if (again) await pause(wait);
      await events("GET", "/events", undefined, {
        on: (news) => {
          wait = FIRST_WAIT;
          reached(true);
          if (news.jobs) jobs = news.jobs;
          for (const hear of hearers) hear(news);
        },
      });
    } catch (fault) {
      if (fault.status === 401 || fault.status === 404) break;
      wait = Math.min(LONGEST_WAIT, wait * 2);
    }
    if (again) for (const hear of hearers) hear({ images: true }); // what was missed meanwhile
  }
  running = false;
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
