/** What this browser keeps between visits of the page: small values by name. Nothing here leaves the browser. */
import { useCallback, useState } from "../vendor/htm-preact.js";

const PREFIX = "atelier.studio.";

/** The value kept under that name, or `initial` where none is kept, or none that can be read. */
export function kept(name, initial) {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? initial : JSON.parse(text);
  } catch {
    return initial;
  }
}

/** A browser that keeps nothing (private windows, a full quota) loses the value with the page; that is no fault. */
export function keep(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    return;
  }
}

/** As useState, kept under that name. */
export function useKept(name, initial) {
  const [value, setValue] = useState(() => kept(name, initial));
  const change = useCallback(
    (next) =>
      setValue((before) => {
        const after = typeof next === "function" ? next(before) : next;
        keep(name, after);
        return after;
      }),
    [name],
  );
  return [value, change];
}
