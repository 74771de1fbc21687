/** What is picked: presets in the order in which they were picked, each once. Pure, but for the hook at the end. */
import { useMemo } from "../vendor/htm-preact.js";
import { useKept } from "./kept.js";

/** As many as a picture takes. */
export const MOST = 20;

/** `group`: of presets with the same one at most one is picked. */
export function pickOf(row, group = "") {
  return { path: row.path, name: row.name, group };
}

export const isPicked = (picks, path) => picks.some((one) => one.path === path);

/** The picks with that one in it, in the place of the one of its group where there is one. */
export function withPick(picks, pick) {
  if (isPicked(picks, pick.path)) return picks;
  const rival = picks.findIndex((one) => pick.group && one.group === pick.group);
  return rival < 0 ? [...picks, pick] : picks.with(rival, pick);
}

/** Without that one; options of an artist go with the artist, whom they would bring back. */
export const without = (picks, path) => picks.filter((one) => one.path !== path && !isOptionOf(one.path, path));

const isOptionOf = (path, artist) => artist.split("/").length === 3 && path.startsWith(`${artist}/`);

/** Of a pack only paths are known; the last steps of a path are as good as a name. */
export function named(path) {
  const steps = path.split(/[:/]/);
  const words = steps.length === 5 ? [steps[2], steps[4]] : steps.slice(-1);
  return words.map(spelled).join(", ");
}

const spelled = (id) => id.split("-").map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join(" ");

/** The presets of a pack as picks. `single`: ids of the universal groups of which one option goes with a picture. */
export const packPicks = (pack, single) => pack.presets.map((path) => ({ path, name: named(path), group: groupOf(path, single) }));

/** By its path: "mood:epic" is of "mood", "category/type/artist/lens/wide" of the artist's "lens". */
function groupOf(path, single) {
  const [head, rest] = path.split(":");
  if (rest !== undefined) return single.has(head) ? head : "";
  const steps = path.split("/");
  return steps.length === 5 ? steps.slice(0, 4).join("/") : "";
}

/** The picks, and what can be done with them. */
export function usePicks() {
  const [picks, setPicks] = useKept("picks", []);
  const does = useMemo(
    () => ({
      toggle: (pick) =>
        setPicks((all) => (isPicked(all, pick.path) ? without(all, pick.path) : withPick(all, pick).slice(0, MOST))),
      toggleAll: (several) =>
        setPicks((all) =>
          several.every((one) => isPicked(all, one.path))
            ? several.reduce((left, one) => without(left, one.path), all)
            : several.reduce(withPick, all).slice(0, MOST),
        ),
      remove: (path) => setPicks((all) => without(all, path)),
      clear: () => setPicks([]),
    }),
    [setPicks],
  );
  return { picks, ...does, has: (path) => isPicked(picks, path), full: picks.length >= MOST };
}
