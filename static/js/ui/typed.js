// A field whose text is taken when it is left, or at Enter. Until then it is the person's, whatever is drawn around it meanwhile.
import { html, useSignal } from "./preact.js";

/** @param {Event} event */
const textOf = (event) => /** @type {HTMLInputElement} */ (event.target).value;

/** @param {{value: string, set: (typed: string) => void, [attribute: string]: unknown}} props */
export function TypedInput({ value, set, ...attributes }) {
  const typed = useSignal(/** @type {string | null} */ (null));
  const take = (/** @type {Event} */ event) => {
    typed.value = null;
    if (textOf(event) !== value) set(textOf(event));
  };
  const enter = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // it must not send the whole form
    take(event);
  };
  return html`<input ...${attributes} value=${typed.value ?? value} onInput=${(/** @type {Event} */ event) => (typed.value = textOf(event))} onChange=${take} onKeyDown=${enter} />`;
}
