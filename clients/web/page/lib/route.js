// Where the page is: `#/path?name=value`. Back, forward and a copied link all come from it.

import { useEffect, useState } from "../vendor/htm-preact.js";

/** {path, parts, params}; params is a plain object of strings. */
export function routeOf(hash = location.hash) {
  const [path, search = ""] = hash.replace(/^#/, "").split("?", 2);
  const clean = path.startsWith("/") ? path : "/";
  const parts = clean.split("/").filter(Boolean).map(decoded);
  return { path: clean, parts, params: Object.fromEntries(new URLSearchParams(search)) };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The hash of a place. Empty parameters are left out. */
export function hashOf(path, params = {}) {
  const known = Object.entries(params).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const search = new URLSearchParams(known).toString();
  return `#${path}${search ? `?${search}` : ""}`;
}

/** Go to a place; with `replace` the step before it stays the one that "back" leads to. */
export function go(path, params = {}, { replace = false } = {}) {
  const hash = hashOf(path, params);
  if (hash === location.hash) return;
  if (replace) history.replaceState(history.state, "", hash);
  else history.pushState({ within: true }, "", hash);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

export function useRoute() {
  const [route, setRoute] = useState(routeOf);
  useEffect(() => {
    const follow = () => setRoute(routeOf());
    addEventListener("hashchange", follow);
    addEventListener("popstate", follow);
    return () => {
      removeEventListener("hashchange", follow);
      removeEventListener("popstate", follow);
    };
  }, []);
  return route;
}
