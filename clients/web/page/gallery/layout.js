// Where each picture of the wall lies: rows of equal height, filled from edge to edge, block by block. Pure.

export const GAP = 8;
const NARROWEST = 0.45;
const WIDEST = 3;
const TALLEST = 1.4; // of the wished row height, before a short row is left open at its end

export const aspectOf = (item) => {
  const aspect = item?.width && item?.height ? item.width / item.height : 0;
  return aspect ? Math.min(WIDEST, Math.max(NARROWEST, aspect)) : 0;
};

/** Wished height of a row in pixels on a wall of that width. */
export function rowHeight(width, scale = 1) {
  const wished = width < 480 ? 150 : width < 900 ? 190 : width < 1600 ? 232 : 264;
  return Math.min(wished * scale, width * 0.9);
}

/** Rows of a block: [{top, height, tiles: [{offset, left, width}]}] and the block's height, its last gap included. */
export function rowsOf(aspects, width, wished) {
  const cuts = cutsOf(aspects, width, wished);
  const rows = [];
  let top = 0;
  let from = 0;
  for (const to of cuts) {
    const row = rowOf(aspects.slice(from, to), from, width, wished);
    rows.push({ top, ...row });
    top += row.height + GAP;
    from = to;
  }
  return { rows, height: top };
}

// Cut where the running sum of aspects passes the next equal share, so that rows of a block are about equally high.
function cutsOf(aspects, width, wished) {
  const sum = aspects.reduce((total, aspect) => total + aspect, 0);
  const gaps = (aspects.length * GAP) / wished;
  const count = Math.max(1, Math.min(aspects.length, Math.round((sum + gaps) / (width / wished))));
  const cuts = [];
  let running = 0;
  aspects.forEach((aspect, index) => {
    const share = (sum * (cuts.length + 1)) / count;
    if (cuts.length < count - 1 && running + aspect / 2 > share && index > (cuts.at(-1) ?? 0)) cuts.push(index);
    running += aspect;
  });
  cuts.push(aspects.length);
  return cuts;
}

function rowOf(aspects, first, width, wished) {
  const sum = aspects.reduce((total, aspect) => total + aspect, 0);
  const free = width - GAP * (aspects.length - 1);
  const height = Math.round(Math.min(free / sum, wished * TALLEST));
  let left = 0;
  const tiles = aspects.map((aspect, index) => {
    const full = height < wished * TALLEST - 1 && index === aspects.length - 1;
    const wide = full ? Math.max(1, width - left) : Math.min(Math.round(aspect * height), width);
    const tile = { offset: first + index, left, width: wide };
    left += wide + GAP;
    return tile;
  });
  return { height, tiles };
}

/** The layout of a whole shelf at one width; only blocks that changed are laid out anew. */
export class Plan {
  constructor(width, scale) {
    this.width = width;
    this.wished = rowHeight(width, scale);
    this.tops = [];
    this.height = 0;
    this._usual = 0;
    this._done = new Map();
    this._blank = new Map();
  }

  /** Lay out what changed. */
  update(shelf) {
    this._usual ||= usual(shelf);
    this.tops = new Array(shelf.blocks.length);
    let top = 0;
    shelf.blocks.forEach((block, number) => {
      this.tops[number] = top;
      top += this.laid(block).height;
    });
    this.height = top;
  }

  /** {rows, height} of a block. */
  laid(block) {
    const kept = this._done.get(block);
    if (kept && kept.mark === block.mark && !block.dirty) return kept;
    if (!block.items.some(Boolean)) return this._unseen(block);
    const aspects = block.items.map((item) => aspectOf(item) || this._usual);
    block.mark = (block.mark ?? 0) + 1;
    block.dirty = false;
    const laid = { ...rowsOf(aspects, this.width, this.wished), mark: block.mark };
    this._done.set(block, laid);
    return laid;
  }

  _unseen(block) {
    const count = block.items.length;
    if (!count) return { rows: [], height: 0 };
    if (!this._blank.has(count)) {
      this._blank.set(count, rowsOf(new Array(count).fill(this._usual || 1), this.width, this.wished));
    }
    return this._blank.get(count);
  }

  /** Number of the block at that height of the wall. */
  blockAt(y) {
    let low = 0;
    let high = this.tops.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.tops[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function usual(shelf) {
  const known = (shelf.blocks[0]?.items ?? []).map(aspectOf).filter(Boolean);
  return known.length ? known.reduce((total, aspect) => total + aspect, 0) / known.length : 0;
}
