// Which layers stay as they are in a transfer.
import { html } from "../preact.js";
import { words } from "./text.js";

/** @param {{layers: string[], chosen: import("../preact.js").Signal<string[]>}} props */
export const Freeze = ({ layers, chosen }) => html`
  <fieldset class="freeze">
    <legend>${words.freeze}</legend>
    ${layers.map(
      (name) => html`<label key=${name}>
        <input
          type="checkbox"
          data-testid=${`freeze-${name}`}
          checked=${chosen.value.includes(name)}
          onChange=${() => (chosen.value = layers.filter((layer) => (layer === name) !== chosen.value.includes(layer)))}
        />
        <span>${name}</span>
      </label>`,
    )}
    <p class="field-note">${layers.length ? words.freezeHint : words.noneToFreeze}</p>
  </fieldset>
`;
