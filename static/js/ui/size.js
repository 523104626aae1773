// The size and colour of pictures, as fields.
import { html } from "./preact.js";
import { text } from "./text.js";
import { TypedInput } from "./typed.js";

const words = text.size;

/** @param {Event} event */
const typed = (event) => /** @type {HTMLInputElement} */ (event.target).value;

/**
 * The size and colour of pictures; with `live` each keystroke counts, otherwise what is left in a field.
 * @param {{size: import("./types").Size, most: number, live?: boolean, change: (part: Partial<import("./types").Size>) => void}} props
 */
export function SizeInputs({ size, most, live, change }) {
  const side = (/** @type {"width" | "height"} */ key) => {
    const given = { type: "number", "aria-label": words[key], value: String(size[key]), min: "1", max: most };
    if (!live) return html`<${TypedInput} ...${given} set=${(/** @type {string} */ value) => change({ [key]: Number(value) })} />`;
    return html`<input ...${given} onInput=${(/** @type {Event} */ event) => change({ [key]: typed(event) ? Number(typed(event)) : NaN })} />`;
  };
  return html`
    <fieldset class="size-fields">
      <legend>${words.title}</legend>
      ${side("width")}
      <span aria-hidden="true">×</span>
      ${side("height")}
      <span class="size-unit">${words.pixels}</span>
      <select aria-label=${words.channels} value=${String(size.channels)} onChange=${(/** @type {Event} */ event) => change({ channels: Number(typed(event)) })}>
        <option value="1">${words.grey}</option>
        <option value="3">${words.colour}</option>
      </select>
    </fieldset>
  `;
}
