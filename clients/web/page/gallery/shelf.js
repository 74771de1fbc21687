// The pictures that match a search, as one long numbered shelf of which only the parts that were looked at are fetched.
//
// Places are filled page by page with the server's cursors, and after a jump to a far place from there on. The server
// counts a filtered list only up to 1,000, which then means "or more": such a shelf grows as its end comes near.

import { get } from "../lib/api.js";

export const BLOCK = 48;
const PAGE = 96;
const REACH = 192; // places that are rather walked through by cursor than jumped over
const MOST_RENEWED = 200; // as many as the server gives at once
const ROOM = 24; // places that a jump fetches before the one that is wanted
export const COUNTED = 1000; // up to which the server counts what a filter leaves

const KEPT = ["image_id", "kind", "prompt", "model", "width", "height", "score", "passed", "favourite", "tags", "created", "likeness", "deleted", "until", "media_type"];
const slim = (row) => Object.fromEntries(KEPT.filter((name) => name in row).map((name) => [name, row[name]]));

export class Shelf {
  constructor(filters) {
    this.filters = filters;
    this.blocks = [];
    this.total = 0;
    this.counted = 0; // what the server says of it, as far as is known
    this.openEnd = false; // there may be more than `total`
    this.fault = null;
    this.onChange = () => {};
    this._where = new Map();
    this._after = new Map(); // id of a page's last picture -> the cursor that goes on from it
    this._wanted = [0, 0];
    this._busy = false;
    this._abort = new AbortController();
  }

  get isFiltered() {
    return Object.entries(this.filters).some(([name, value]) => value && name !== "sort");
  }

  /** The first page. Raises ApiError. */
  async open() {
    const page = await this._page({});
    this.counted = page.total;
    this.openEnd = page.total >= COUNTED && this.isFiltered;
    this._reserve(page.total);
    this._fill(page, 0);
    return this;
  }

  close() {
    this._abort.abort();
    this.onChange = () => {};
  }

  at(place) {
    const found = this._find(place);
    return found && found.block.items[place - found.block.start];
  }

  /** The place of a picture, -1 when it is not known. */
  placeOf(id) {
    const block = this._where.get(id);
    return block ? block.start + block.items.findIndex((item) => item?.image_id === id) : -1;
  }

  /** Have these places fetched, before all others. */
  want(from, to) {
    this._wanted = [Math.max(0, from), Math.min(this.total, to)];
    if (!this._busy && !this.fault) this._work();
  }

  retry() {
    this.fault = null;
    this.onChange();
    this.want(...this._wanted);
  }

  /** A row that changed elsewhere on the page. */
  patch(row) {
    const block = this._where.get(row.image_id);
    if (!block) return;
    const offset = block.items.findIndex((item) => item?.image_id === row.image_id);
    block.items[offset] = { ...block.items[offset], ...slim(row) };
    this.onChange();
  }

  /** Have what is shown asked for once more: other tabs and programs change pictures too. */
  async renew() {
    const [from, to] = this._wanted;
    if (this.filters.similar_to || to <= from) return;
    const asked = { ...this.filters, skip: from, limit: Math.min(MOST_RENEWED, to - from) };
    const page = await get("/images", asked, { signal: this._abort.signal }).catch(() => null);
    const changed = page?.images.filter((row) => this._differs(row)) ?? [];
    changed.forEach((row) => this.patch(row));
  }

  _differs(row) {
    const known = this.at(this.placeOf(row.image_id));
    return known && JSON.stringify(slim(known)) !== JSON.stringify(slim(row));
  }

  /** Takes a picture off; answers what `putBack` needs, or null when it was not there. */
  take(id) {
    const block = this._where.get(id);
    if (!block) return null;
    const offset = block.items.findIndex((item) => item?.image_id === id);
    const [item] = block.items.splice(offset, 1);
    block.dirty = true;
    this._where.delete(id);
    this._keepCursor(block, offset, id);
    this.counted -= 1;
    this._count();
    this.onChange();
    return { block, offset, item };
  }

  putBack({ block, offset, item }) {
    if (this._where.has(item.image_id) || !this.blocks.includes(block)) return;
    block.items.splice(Math.min(offset, block.items.length), 0, item);
    this.counted += 1;
    block.dirty = true;
    this._where.set(item.image_id, block);
    this._count();
    this.onChange();
  }

  // The cursor of a picture that is taken away goes on from the one before it just as well.
  _keepCursor(block, offset, id) {
    const cursor = this._after.get(id);
    if (cursor === undefined) return;
    const before = this.at(block.start + offset - 1);
    if (before) this._after.set(before.image_id, cursor);
  }

  _reserve(total) {
    for (let left = total; left > 0; left -= BLOCK) {
      this.blocks.push({ items: new Array(Math.min(BLOCK, left)).fill(undefined), start: 0, dirty: true });
    }
    this._count();
  }

  _count() {
    let start = 0;
    for (const block of this.blocks) {
      block.start = start;
      start += block.items.length;
    }
    this.total = start;
  }

  _find(place) {
    if (place < 0 || place >= this.total) return null;
    let low = 0;
    let high = this.blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.blocks[middle].start <= place) low = middle;
      else high = middle - 1;
    }
    while (low > 0 && !this.blocks[low].items.length) low -= 1;
    return { block: this.blocks[low], number: low };
  }

  async _work() {
    this._busy = true;
    try {
      for (let place = this._missing(); place >= 0; place = this._missing()) {
        const known = [this._where.size, this.total].join();
        await this._fetch(place);
        if (known === [this._where.size, this.total].join()) this._closeGap(this._near(place));
        this.onChange();
      }
    } catch (fault) {
      if (fault.name !== "AbortError") {
        this.fault = fault;
        this.onChange();
      }
    } finally {
      this._busy = false;
    }
  }

  _missing() {
    const [from, to] = this._wanted;
    for (let place = from; place < Math.min(to, this.total); place += 1) if (!this.at(place)) return place;
    return -1;
  }

  async _fetch(place) {
    const before = this._near(place, REACH);
    const near = place - before <= REACH || this.filters.similar_to;
    return near ? this._goOn(before) : this._jump(Math.max(before + 1, place - ROOM));
  }

  /** The nearest known place before that one; -1 when there is none; farther than `most` it is not looked for. */
  _near(place, most = Infinity) {
    let at = place - 1;
    while (at >= 0 && place - at <= most && !this.at(at)) at -= 1;
    return at;
  }

  /** The page after the picture at that place; after -1 the first page. */
  async _goOn(place) {
    const last = this.at(place);
    const cursor = last && this._after.get(last.image_id);
    if (last && cursor === undefined) return this._closeGap(place);
    const page = await this._page(cursor ? { cursor } : {});
    this._fill(page, this.at(place) === last ? place + 1 : this.placeOf(last?.image_id) + 1);
  }

  // Fewer pictures than were counted: places after this one have nothing to fill them.
  _closeGap(place) {
    let end = place + 1;
    while (end < this.total && !this.at(end)) end += 1;
    this._drop(place + 1, end);
  }

  /** The page that begins at that place. */
  async _jump(place) {
    const page = await this._page({ skip: place });
    if (!page.images.length) return this._closeGap(this._near(place));
    return this._fill(page, place);
  }

  /** A page's rows from that place on. Known rows end it: what lies between them and the last one was counted too much. */
  _fill(page, place) {
    let at = place;
    let last = null;
    for (const row of page.images) {
      const known = this.placeOf(row.image_id);
      if (known >= 0) {
        if (known > at) this._drop(at, known);
        last = null;
        at = this.placeOf(row.image_id) + 1;
        continue;
      }
      if (at >= this.total || this.at(at)) this._insert(at);
      this._set(at, row);
      last = row;
      at += 1;
    }
    if (page.cursor && last) this._after.set(last.image_id, page.cursor);
    if (page.cursor && at >= this.total - 2 * PAGE && this.openEnd) this._reserve(COUNTED);
    if (!page.cursor && last) {
      this.openEnd = false;
      this._drop(at, this.total);
    }
  }

  _set(place, row) {
    const { block } = this._find(place);
    block.items[place - block.start] = slim(row);
    block.dirty = true;
    this._where.set(row.image_id, block);
  }

  _insert(place) {
    if (!this.blocks.length) this.blocks.push({ items: [], start: 0, dirty: true });
    const { block } = this._find(Math.min(place, this.total - 1)) ?? { block: this.blocks.at(-1) };
    block.items.splice(place - block.start, 0, undefined);
    block.dirty = true;
    this._count();
  }

  // Only places that hold nothing are dropped.
  _drop(from, to) {
    for (const block of this.blocks) {
      const first = from - block.start;
      const end = to - block.start;
      const kept = block.items.filter((item, offset) => item || offset < first || offset >= end);
      if (kept.length === block.items.length) continue;
      block.items = kept;
      block.dirty = true;
    }
    this._count();
  }

  _page(more) {
    return get("/images", { limit: PAGE, ...this.filters, ...more }, { signal: this._abort.signal });
  }
}
