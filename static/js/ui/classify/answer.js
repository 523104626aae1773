// What the network sees and what it says: the input at pixelated scale, the labels with their probabilities.
import { percent } from "../format.js";
import { Icon } from "../icons.js";
import { Problem } from "../parts.js";
import { html, useEffect, useRef, useSignal } from "../preact.js";
import { ranked } from "./pictures.js";
import { words } from "./text.js";

/** @typedef {import("./pictures.js").Looking} Looking @typedef {import("./types").Input} Input */

const BEST = 5; // labels that are shown unless all are asked for
const SEEN_SIDE = 176; // CSS pixels at most; a whole number of them for each of the network's

/** @param {{looking: Looking, input: Input | null, state: string, teach: ((label: string) => void) | null}} props `state` of the network, in words; `teach` is null for who may not */
export function AnswerPanel({ looking, input, state, teach }) {
  return html`
    <section class="panel" aria-labelledby="answer-title">
      <div class="panel-head"><h2 id="answer-title">${words.answer}</h2><span class="panel-note" data-testid="network-state">${state}</span></div>
      <div class="answer">
        <${Seen} pixels=${looking.pixels} input=${input} />
        <${Bars} looking=${looking} teach=${teach} />
      </div>
      ${looking.trouble && html`<${Problem}>${looking.trouble}<//>`}
    </section>
  `;
}

/** @param {{pixels: Uint8Array | null, input: Input | null}} props */
function Seen({ pixels, input }) {
  const { width = 1, height = 1, channels = 1, mode = "crop" } = input ?? {};
  const scale = Math.max(1, Math.floor(SEEN_SIDE / Math.max(width, height)));
  return html`
    <figure class="seen">
      <figcaption>${words.seen}</figcaption>
      <${Pixels} pixels=${pixels} width=${width} height=${height} channels=${channels} scale=${scale} />
      <p class="field-note">${input ? `${words.seenSize(width, height, channels)}, ${words.modes[mode]}. ${words.seenNote}` : "\u00a0"}</p>
    </figure>
  `;
}

/** Bytes [y][x][channel] as a canvas of their size, drawn large without smoothing. @param {{pixels: Uint8Array | null, width: number, height: number, channels: number, scale: number}} props */
function Pixels({ pixels, width, height, channels, scale }) {
  const box = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  useEffect(() => {
    const paint = box.current?.getContext("2d");
    if (!paint) return;
    const image = paint.createImageData(width, height);
    for (let i = 0; i < width * height && pixels; i++)
      image.data.set([0, 1, 2].map((c) => pixels[i * channels + Math.min(c, channels - 1)]).concat(255), 4 * i);
    paint.putImageData(image, 0, 0);
  }, [pixels, width, height]);
  const label = pixels ? words.seen : words.seenNothing;
  return html`<canvas class=${pixels ? "pixels" : "pixels none"} ref=${box} width=${width} height=${height} style=${{ width: `${width * scale}px`, height: `${height * scale}px` }} role="img" aria-label=${label} data-testid="seen"></canvas>`;
}

/** @param {{looking: Looking, teach: ((label: string) => void) | null}} props */
function Bars({ looking, teach }) {
  const all = useSignal(false);
  const { answer } = looking;
  if (!answer) return html`<p class="answer-empty">${looking.pixels ? words.asking : words.empty}</p>`;
  const rows = ranked(answer);
  const shown = all.value ? rows : rows.slice(0, BEST);
  return html`
    <div class="bars" data-testid="answer" data-iteration=${answer.iteration} data-best=${rows[0].label}>
      <ol>
        ${shown.map(
          ({ label, known, probability }, i) => html`<li class=${i ? "bar-row" : "bar-row best"} data-testid="answer-row" data-label=${label}>
            <span class="bar-label">${label}</span><span class="bar-value">${percent(probability)}</span>
            ${teach && known && html`<button type="button" class="quiet icon-only small" data-testid="answer-teach" aria-label=${words.addAs(label)} title=${words.addAs(label)} onClick=${() => teach(label)}><${Icon} name="plus" /></button>`}
            <span class="bar-track" aria-hidden="true"><span style=${{ transform: `scaleX(${probability})` }}></span></span>
          </li>`,
        )}
      </ol>
      ${rows.length > BEST && html`<button type="button" class="quiet small" data-testid="answer-all" aria-expanded=${all.value} onClick=${() => (all.value = !all.value)}>${all.value ? words.fewer : words.all(rows.length)}</button>`}
    </div>
  `;
}
