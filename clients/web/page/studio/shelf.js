/** The presets, fetched as they are looked at and each list only once; and the search over all of them. */
import { get } from "../lib/api.js";

const FLAT = [
  ["styles", "style", "Styles"],
  ["artists", "artist", "Artists"],
  ["composition", "composition", "Composition"],
  ["lighting", "lighting", "Lighting"],
];
const AT_ONCE = 4;
const lists = new Map();

function once(path) {
  if (!lists.has(path)) {
    const asked = get(path);
    asked.catch(() => lists.delete(path));
    lists.set(path, asked);
  }
  return lists.get(path);
}

const step = encodeURIComponent;

export const categories = async () => (await once("/categories")).categories;
export const types = (category) => once(`/categories/${step(category)}/types`);
export const artists = (category, type) => once(`/categories/${step(category)}/types/${step(type)}/artists`);
export const packs = async () => (await once("/preset-packs")).packs;
export const options = async () => (await once("/universal-options")).options;

/** The groups of options of an artist: technical ones, then those of the scene. */
export async function artistOptions(category, type, artist) {
  const below = `/artists/${step(category)}/${step(type)}/${step(artist)}`;
  const [technical, specifics] = await Promise.all([once(`${below}/technical`), once(`${below}/specifics`)]);
  return [...technical.technical, ...specifics.specifics];
}

/** The flat presets: `[{id, title, rows}]`, the user's own marked. */
export async function flat() {
  const told = await once("/presets");
  const own = new Map((told.own ?? []).map((row) => [`${row.kind}:${row.name}`, row]));
  return FLAT.map(([key, kind, title]) => ({ id: kind, title, rows: rowsOf(told[key], kind, own) }));
}

function rowsOf(texts, kind, own) {
  return Object.entries(texts)
    .filter(([name]) => name !== "None")
    .map(([name, text]) => own.get(`${kind}:${name}`) ?? { path: `${kind}:${name}`, name, kind, text });
}

/** After a preset was added or removed. */
export function forgetFlat() {
  lists.delete("/presets");
}

/** Universal groups of which only one option goes with a picture. */
export async function singleGroups() {
  return new Set((await options()).filter((group) => !group.several).map((group) => group.id));
}

/**
 * Everything that can be found, told in portions: what comes at once first, then the types and artists.
 * `told(entries, share)`: entries of `{row, where, group}`; share of 1: that was all. Ends early once `signal` says so.
 */
export async function index(told, signal) {
  const entries = await flatEntries();
  const branches = await categories();
  entries.push(...branches.map((row) => ({ row, where: "Category", group: "" })));
  told([...entries], 0);
  const below = await Promise.all(branches.map((category) => types(category.id)));
  const leaves = below.flatMap((one) => one.types.map((type) => ({ category: one.category, type })));
  entries.push(...leaves.map(({ category, type }) => ({ row: type, where: category.name, group: "" })));
  for (let start = 0; start < leaves.length && !signal.aborted; start += AT_ONCE) {
    const several = leaves.slice(start, start + AT_ONCE);
    const found = await Promise.all(several.map(({ category, type }) => artists(category.id, type.id)));
    entries.push(...found.flatMap(artistEntries));
    told([...entries], Math.min(1, (start + AT_ONCE) / leaves.length));
  }
}

async function flatEntries() {
  const [shelves, groups] = await Promise.all([flat(), options()]);
  const listed = shelves.flatMap(({ title, rows }) => rows.map((row) => ({ row, where: title, group: "" })));
  const chosen = groups.flatMap((group) =>
    group.options.map((row) => ({ row, where: group.name, group: group.several ? "" : group.id })),
  );
  return [...listed, ...chosen];
}

const artistEntries = ({ category, type, artists: rows }) =>
  rows.map((row) => ({ row, where: `${category.name}, ${type.name}`, group: "" }));

/** Those in which every word is found, in the name or else in the text; those that begin so first. */
export function matching(entries, words, most = 40) {
  const wanted = folded(words).split(/\s+/).filter(Boolean);
  if (!wanted.length) return [];
  return entries
    .map((entry) => [rank(entry, wanted), entry])
    .filter(([place]) => place >= 0)
    .sort(([one], [other]) => one - other)
    .slice(0, most)
    .map(([, entry]) => entry);
}

function rank({ row, where }, wanted) {
  const name = folded(row.name);
  if (wanted.every((word) => name.includes(word))) return name.startsWith(wanted[0]) ? 0 : 1;
  const all = `${name} ${folded(where)} ${folded(row.text)}`;
  return wanted.every((word) => all.includes(word)) ? 2 : -1;
}

const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
