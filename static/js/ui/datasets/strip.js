// Some pictures of a label, side by side.
import { html } from "../preact.js";
import { words } from "./text.js";

/** Where they cannot be had their place stays empty. @param {{src: string, label: string}} props */
export const Strip = ({ src, label }) =>
  html`<img class="label-strip" src=${src} alt=${words.strip(label)} loading="lazy" decoding="async" onError=${(/** @type {any} */ event) => event.target.classList.add("missing")} />`;
