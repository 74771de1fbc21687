// The small pieces that every part of the page is put together from.

import { html, useCallback, useEffect, useLayoutEffect, useRef, useState } from "../vendor/htm-preact.js";
import { ICONS } from "./icons.js";

export { html };

let counted = 0;

/** An id that no other element of the page has. */
export function useId(stem = "x") {
  const id = useRef(null);
  id.current ??= `${stem}-${++counted}`;
  return id.current;
}

/** A drawing beside words. Without words the button around it needs an aria-label. */
export function Icon({ name, filled = false }) {
  const paths = ICONS[name] ?? [];
  return html`<svg class=${filled ? "icon icon--filled" : "icon"} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    ${paths.map((path) => html`<path d=${path} />`)}
  </svg>`;
}

/** A button that shows a drawing only; `label` is its name and its tip. */
export function IconButton({ icon, label, filled, class: more = "", ...rest }) {
  return html`<button type="button" class=${`button button--icon ${more}`} aria-label=${label} title=${label} ...${rest}>
    <${Icon} name=${icon} filled=${filled} />
  </button>`;
}

/** A labelled control: `as` is "input", "select" (options as children) or "textarea"; the rest goes to the control. */
export function Field({ label, hint, error, as = "input", class: more = "", children, hideLabel = false, ...rest }) {
  const own = useId("field");
  const id = rest.id ?? own;
  const told = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  const control = { id, "aria-describedby": told || undefined, "aria-invalid": error ? "true" : undefined, ...rest };
  return html`<div class=${`field ${more}`}>
    <label class=${hideLabel ? "unseen" : "field__label"} for=${id}>${label}</label>
    <${as} class="field__control" ...${control}>${children}<//>
    ${hint && html`<p class="field__hint" id=${`${id}-hint`}>${hint}</p>`}
    ${error && html`<p class="field__error" id=${`${id}-error`}>${error}</p>`}
  </div>`;
}

/** A modal dialog: opened when it is rendered, closed by Escape, its close button, or a click beside it. */
export function Dialog({ title, onClose, children, class: more = "", footer }) {
  const box = useRef(null);
  const heading = useId("dialog");
  useLayoutEffect(() => {
    const dialog = box.current;
    const before = document.activeElement;
    if (!dialog.open) dialog.showModal();
    return () => {
      dialog.close(); // until then nothing else can have the focus
      if (before?.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
  const beside = (event) => event.target === box.current && onClose();
  const cancel = (event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog class=${`dialog ${more}`} ref=${box} aria-labelledby=${heading} onCancel=${cancel} onMouseDown=${beside}>
    <div class="dialog__inner">
      <header class="dialog__head">
        <h2 id=${heading}>${title}</h2>
        <${IconButton} icon="close" label="Close" class="button--quiet" onClick=${onClose} />
      </header>
      <div class="dialog__body" tabindex="0" role="group" aria-labelledby=${heading}>${children}</div>
      ${footer && html`<footer class="dialog__foot">${footer}</footer>`}
    </div>
  </dialog>`;
}

/** What an asynchronous function gives: {value, error, loading, again}. The last value stays while a new one is fetched. */
export function useAsync(ask, deps) {
  const [state, setState] = useState({ value: undefined, error: null, loading: true });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    let current = true;
    setState((last) => ({ ...last, error: null, loading: true }));
    Promise.resolve()
      .then(() => ask(abort.signal))
      .then(
        (value) => current && setState({ value, error: null, loading: false }),
        (error) => current && setState((last) => ({ ...last, error, loading: false })),
      );
    return () => {
      current = false;
      abort.abort();
    };
  }, [...deps, round]);
  const again = useCallback(() => setRound((last) => last + 1), []);
  return { ...state, again };
}

/** An error in words, with a button that tries again. */
export function Fault({ error, onRetry }) {
  return html`<div class="fault" role="alert">
    <${Icon} name="warn" />
    <p>${error.message}</p>
    ${onRetry && html`<button type="button" class="button" onClick=${onRetry}>Try again</button>`}
  </div>`;
}

export function Spinner({ label = "Loading" }) {
  return html`<span class="spinner" role="status"><span class="unseen">${label}</span></span>`;
}

/** A small word with an optional remove button. */
export function Chip({ children, onRemove, removeLabel, pressed, onClick }) {
  if (onClick) return html`<button type="button" class="chip" aria-pressed=${pressed === undefined ? undefined : String(pressed)} onClick=${onClick}>${children}</button>`;
  return html`<span class="chip"
    ><span class="chip__text">${children}</span>
    ${onRemove && html`<button type="button" class="chip__remove" aria-label=${removeLabel} onClick=${onRemove}><${Icon} name="close" /></button>`}
  </span>`;
}

/** Text into the clipboard, told in a toast. */
export async function copy(text, told = "Copied.") {
  try {
    await navigator.clipboard.writeText(text);
    toast(told);
  } catch {
    if (copiedByHand(text)) toast(told);
    else toast("The browser did not allow copying. Select the text and copy it by hand.", { kind: "error" });
  }
}

// navigator.clipboard is absent on plain HTTP addresses other than localhost.
function copiedByHand(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  const host = document.querySelector("dialog[open]") ?? document.body;
  const before = document.activeElement;
  host.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  before?.focus();
  return done;
}

const TOAST_SECONDS = 5;
const ACTION_SECONDS = 8;
let toasts = [];
let nextToast = 1;
let showToasts = () => {};

/** A line at the bottom of the page. `action` is the word of its button; without one it only tells. */
export function toast(text, { action, onAction, kind = "info" } = {}) {
  const one = { id: nextToast++, text, action, onAction, kind };
  toasts = [...toasts.filter((each) => each.action || each.kind === "error").slice(-2), one]; // plain news gives way to newer
  showToasts(toasts);
  return () => dropToast(one.id);
}

export const tellFault = (fault) => fault.name !== "AbortError" && toast(fault.message, { kind: "error" });

/** Does what the newest toast with a button offers. Returns whether there was one. */
export function takeAction() {
  const one = toasts.findLast((each) => each.action);
  if (!one) return false;
  dropToast(one.id);
  one.onAction();
  return true;
}

function dropToast(id) {
  toasts = toasts.filter((one) => one.id !== id);
  showToasts(toasts);
}

/** Where toasts are shown; the shell has one. */
export function Toasts() {
  const [shown, setShown] = useState(toasts);
  const box = useRef(null);
  useEffect(() => {
    showToasts = setShown;
    return () => {
      showToasts = () => {};
    };
  }, []);
  useEffect(() => {
    // In the top layer, above an open dialog.
    if (box.current?.matches(":popover-open")) box.current.hidePopover();
    if (shown.length) box.current?.showPopover?.();
  }, [shown]);
  return html`<div class="toasts" popover="manual" role="status" aria-live="polite" aria-label="Messages" ref=${box}>
    ${shown.map((one) => html`<${ToastLine} key=${one.id} one=${one} />`)}
  </div>`;
}

function ToastLine({ one }) {
  const [held, setHeld] = useState(false);
  useEffect(() => {
    if (held) return undefined;
    const seconds = one.action ? ACTION_SECONDS : TOAST_SECONDS;
    const timer = setTimeout(() => dropToast(one.id), seconds * 1000);
    return () => clearTimeout(timer);
  }, [held]);
  const hold = { onMouseEnter: () => setHeld(true), onMouseLeave: () => setHeld(false), onfocusin: () => setHeld(true), onfocusout: () => setHeld(false) };
  const act = () => {
    dropToast(one.id);
    one.onAction();
  };
  return html`<div class=${`toast toast--${one.kind}`} ...${hold}>
    <p>${one.text}</p>
    ${one.action && html`<button type="button" class="button button--quiet" onClick=${act}>${one.action}</button>`}
    <${IconButton} icon="close" label="Dismiss" class="button--quiet" onClick=${() => dropToast(one.id)} />
  </div>`;
}
