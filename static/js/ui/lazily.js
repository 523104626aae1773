// A part of a page whose code is fetched when it is first shown.
import { Problem } from "./parts.js";
import { html, useEffect, useSignal } from "./preact.js";
import { text } from "./text.js";

/** @param {{load: () => Promise<any>, with: object, frame: string}} props `with`: what the part is given; `frame`: the class of what stands there until it comes */
export function Lazily({ load, with: given, frame }) {
  const part = useSignal(/** @type {{Part: any} | null} */ (null));
  const failed = useSignal(false);
  const fetch = () => {
    failed.value = false;
    load().then(
      (Part) => (part.value = { Part }),
      () => (failed.value = true),
    );
  };
  useEffect(fetch, [load]);
  if (part.value) return html`<${part.value.Part} ...${given} />`;
  return html`<div class=${frame}>
    ${failed.value
      ? html`<${Problem} id="part" again=${fetch}>${text.unloaded}<//>`
      : html`<p class="quiet-line" role="status">${text.loading}</p>`}
  </div>`;
}
