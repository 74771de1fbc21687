// Which key presses are meant for the page as a whole.

const TYPED = "input:not([type=range]):not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]";

/** Whether a key press is meant for the page, and not for a field, a dialog, or a shortcut of the browser. */
export function isForPage(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return false;
  if (document.querySelector("dialog[open]")) return false;
  return !event.target.closest?.(TYPED);
}
