/* The page of an exported model: pictures in, labels out, without any server. mlitb/exporting/page.py puts it together.
 *
 * Rules of this file:
 * - It runs from a file: nothing is fetched, nothing is stored, no picture leaves the page.
 * - The engine and the resize are the ones that training uses; pixels come from a canvas, which is exact for what has no
 *   colour profile and loses nothing.
 */
import {compile, createNetwork} from "../engine/wasm.js";
import {toInput} from "../resize.js";

/** @typedef {{layers: object[], labels: string[], resize: import("../resize.js").Mode}} Model */

const SHOWN = 5; // labels for each picture
const MOST_PIXELS = 64_000_000;

/** @param {string} id @returns {HTMLElement} */
const element = id => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {string} id @returns {Uint8Array<ArrayBuffer>} */
function bytesIn(id) {
  const text = atob(element(id).textContent.trim());
  return Uint8Array.from(text, character => character.charCodeAt(0));
}

/** @param {Uint8Array<ArrayBuffer>} packed */
const unpacked = packed => new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();

/** @param {Model} model */
async function load(model) {
  const module = await compile(await unpacked(bytesIn("engine")));
  const network = createNetwork(module, model.layers, model.labels.length, 1);
  network.setParameters(new Float32Array(bytesIn("parameters").buffer));
  return network;
}

/** @param {Blob} file */
async function pixelsOf(file) {
  const bitmap = await createImageBitmap(file, {colorSpaceConversion: "none", premultiplyAlpha: "none"});
  if (bitmap.width * bitmap.height > MOST_PIXELS) throw new Error(element("too-large").textContent);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", {willReadFrequently: true}));
  context.drawImage(bitmap, 0, 0);
  return {canvas, picture: context.getImageData(0, 0, canvas.width, canvas.height)};
}

/**
 * @param {string} name
 * @param {string} [text]
 * @param {string} [className]
 */
function make(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

/** Draw what the network sees. @param {Uint8Array} input @param {{width: number, height: number, channels: number}} shape */
function seen(input, {width, height, channels}) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = input[i * channels + (channels === 3 ? c : 0)];
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  canvas.className = "seen";
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", element("seen").textContent);
  return canvas;
}

/** @param {Float32Array} probabilities @param {string[]} labels */
function ranked(probabilities, labels) {
  const list = make("ol");
  const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  for (const index of order.slice(0, SHOWN)) {
    const row = make("li");
    const share = (100 * probabilities[index]).toFixed(1);
    const bar = make("meter");
    Object.assign(bar, {min: 0, max: 1, value: probabilities[index]});
    bar.setAttribute("aria-hidden", "true");
    row.append(make("span", labels[index] ?? `output ${index}`, "label"), bar, make("span", `${share} %`, "share"));
    list.append(row);
  }
  list.dataset.probabilities = JSON.stringify([...probabilities]);
  return list;
}

/** @param {File} file @param {import("../engine/contract.js").Network} network @param {Model} model */
async function card(file, network, model) {
  const box = make("article");
  box.append(make("h2", file.name));
  try {
    const [height, width, channels] = network.shapes[0];
    const {canvas, picture} = await pixelsOf(file);
    const input = toInput(picture, {width, height, channels}, model.resize);
    const pair = make("div", "", "pair");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", file.name);
    pair.append(canvas, seen(input, {width, height, channels}));
    box.append(pair, ranked(network.probabilities(input, 1), model.labels));
  } catch (error) {
    const reason = error instanceof DOMException ? element("no-picture").textContent : /** @type {Error} */ (error).message;
    box.append(make("p", reason, "bad"));
  }
  return box;
}

async function start() {
  /** @type {Model} */
  const model = JSON.parse(element("model").textContent);
  const network = await load(model);
  const results = element("results");
  let last = Promise.resolve();
  const classify = (/** @type {FileList | undefined | null} */ files) => {
    for (const file of files ?? [])
      last = last.then(async () => results.prepend(await card(file, network, model))); // one after the other
  };
  for (const id of ["choose", "photo"]) {
    const input = /** @type {HTMLInputElement} */ (element(id));
    input.addEventListener("change", () => {
      classify(input.files);
      input.value = "";
    });
    input.disabled = false;
  }
  document.addEventListener("dragover", event => event.preventDefault());
  document.addEventListener("drop", event => {
    event.preventDefault();
    classify(event.dataTransfer?.files);
  });
  element("state").textContent = "";
  document.documentElement.dataset.ready = "true";
}

start().catch(error => {
  element("state").textContent = `${element("broken").textContent} ${error.message}`;
});
