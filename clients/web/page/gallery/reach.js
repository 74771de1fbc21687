// How a wall that is taller than a browser lays out is scrolled: the scroll bar spans a shorter element, of which both
// ends go pixel by pixel and the middle stands for more than its own height. Pure.

/** Chromium and Safari lay out 33 million pixels, Firefox 17. */
const MOST = 16_000_000;
const END = 200_000;

/** The height of the element for a wall of that height. */
export const heightFor = (wall) => Math.min(wall, MOST);

/** How much the middle is shortened: 1 for walls that fit. */
const ratio = (wall) => (wall > MOST ? (MOST - 2 * END) / (wall - 2 * END) : 1);

/** Where in the element a height of the wall lies. */
export function onElement(top, wall) {
  if (wall <= MOST || top <= END) return top;
  if (top >= wall - END) return top - (wall - MOST);
  return END + (top - END) * ratio(wall);
}

/** Which height of the wall lies there in the element. */
export function onWall(top, wall) {
  if (wall <= MOST || top <= END) return top;
  if (top >= MOST - END) return top + (wall - MOST);
  return END + (top - END) / ratio(wall);
}
