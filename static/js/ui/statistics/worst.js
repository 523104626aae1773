// The pictures that the network gets most wrong, as it sees them.
import { html, useEffect, useRef } from "../preact.js";
import { words } from "./text.js";

/** @typedef {import("./types").Evaluated} Evaluated @typedef {Evaluated["worst"][number]} Wrong @typedef {import("../types").Size} Size */

/** @param {{report: Evaluated, size: Size}} props */
export const Worst = ({ report, size }) => html`
  <section class="panel worst-panel" aria-labelledby="worst-title">
    <div class="panel-head"><h2 id="worst-title">${words.worst}</h2></div>
    <p class="panel-lead">${report.worst.length ? words.worstHint : words.noneWrong}</p>
    <ul class="worst" data-testid="worst">
      ${report.worst.map((wrong) => html`<${Picture} key=${`${wrong.hash} ${wrong.index}`} wrong=${wrong} labels=${report.labels} size=${size} />`)}
    </ul>
  </section>
`;

/** @param {{wrong: Wrong, labels: string[], size: Size}} props */
function Picture({ wrong, labels, size }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  useEffect(() => {
    const paint = canvas.current?.getContext("2d");
    if (paint) paint.putImageData(imageOf(wrong.pixels, size), 0, 0);
  }, [wrong.hash, wrong.index]);
  const [label, said] = [labels[wrong.label], labels[wrong.predicted] ?? `#${wrong.predicted}`];
  return html`<li>
    <canvas ref=${canvas} width=${size.width} height=${size.height} role="img" aria-label=${words.wrong(label, said, wrong.sure, wrong.probability)} title=${words.wrong(label, said, wrong.sure, wrong.probability)}></canvas>
    <span class="worst-label">${label}</span>
    <span class="worst-said">${words.said(said, wrong.sure)}</span>
  </li>`;
}

/** Pixels as the network takes them, for a canvas. @param {Uint8Array} pixels [y][x][channel] @param {Size} size */
export function imageOf(pixels, { width, height, channels }) {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i += 1) {
    for (let c = 0; c < 3; c += 1) image.data[4 * i + c] = pixels[i * channels + (channels === 1 ? 0 : c)];
    image.data[4 * i + 3] = 255;
  }
  return image;
}
