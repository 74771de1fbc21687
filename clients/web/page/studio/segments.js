/** A prompt cut into the user's own words and what was added to them. Pure. */

/** `[{text, added}]`, which make up `prompt` together; an addition that is not found is passed over. */
export function segments(prompt, added) {
  const marks = placed(prompt, added);
  const parts = [];
  let at = 0;
  for (const [start, end] of marks) {
    if (start > at) parts.push({ text: prompt.slice(at, start), added: false });
    parts.push({ text: prompt.slice(start, end), added: true });
    at = end;
  }
  if (at < prompt.length) parts.push({ text: prompt.slice(at), added: false });
  return parts;
}

/** Where the additions stand, without overlaps: the longest are placed first, as the short may be parts of them. */
function placed(prompt, added) {
  const taken = [];
  const free = (start, end) => taken.every(([from, to]) => end <= from || start >= to);
  for (const text of [...added].filter(Boolean).sort((one, other) => other.length - one.length)) {
    let start = prompt.indexOf(text);
    while (start >= 0 && !free(start, start + text.length)) start = prompt.indexOf(text, start + 1);
    if (start >= 0) taken.push([start, start + text.length]);
  }
  return taken.sort(([one], [other]) => one - other);
}
