// The size and colour of pictures, as fields.
import { html } from "./preact.js";
import { text } from "./text.js";

const words = text.size;

/** @param {Event} event */
const typed = (event) => /** @type {HTMLInputElement} */ (event.target).value;

/**
 * The size and colour of pictures; with `live` each keystroke counts, otherwise what is left in a field.
 * @param {{size: import("./types").Size, most: number, live?: boolean, change: (part: Partial<import("./types").Size>) => void}} props
 */
export function SizeInputs({ size, most, live, change }) {
  const changed = (/** @type {keyof import("./types").Size} */ key) => {
    const hear = (/** @type {Event} */ event) => change({ [key]: live && !typed(event) ? NaN : Number(typed(event)) });
    return live ? { onInput: hear } : { onChange: hear };
  };
  return html`
    <fieldset class="size-fields">
      <legend>${words.title}</legend>
      <input type="number" aria-label=${words.width} value=${size.width} min="1" max=${most} ...${changed("width")} />
      <span aria-hidden="true">×</span>
      <input type="number" aria-label=${words.height} value=${size.height} min="1" max=${most} ...${changed("height")} />
      <span class="size-unit">${words.pixels}</span>
      <select aria-label=${words.channels} value=${String(size.channels)} ...${changed("channels")}>
        <option value="1">${words.grey}</option>
        <option value="3">${words.colour}</option>
      </select>
    </fieldset>
  `;
}
