// A zip of pictures, one after the other: unpacked a few at a time, decoded, asked about; what is no picture is named and stops nothing.
import { unzipSync } from "../../codecs.js";
import { toInput } from "../../resize.js";
import { NotYet } from "./asking.js";
import { words } from "./text.js";

/** @typedef {import("./types").Device} Device @typedef {import("./types").Input} Input @typedef {import("./table.js").Row} Row */
/** @typedef {{done: number, total: number, rows: Row[], bad: {name: string, reason: string}[], labels: string[]}} Outcome */
/** @typedef {{device: Device, input: Input, network: import("./asking.js").Network, on: () => boolean, tell: (outcome: Outcome) => void}} Around `on`: whether to go on */

const UNPACKED = 32; // at once: a phone has little memory
const MOST_BYTES = 64_000_000; // of one picture, as `mlitb predict`
const BATCH = 16; // the engine's
const WAIT_MS = 200; // for the parameters of a network that has just grown

/** @param {string} name */
const hidden = (name) => name.split("/").some((part) => part.startsWith(".") || part.startsWith("__MACOSX"));

/** The names of a zip's files in order, with their sizes; throws where it is none. @param {Uint8Array} zip */
function listed(zip) {
  /** @type {{name: string, size: number}[]} */
  const found = [];
  unzipSync(zip, {
    filter: ({ name, originalSize: size }) => {
      if (!name.endsWith("/") && !hidden(name)) found.push({ name, size });
      return false;
    },
  });
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Unpack some files; what cannot be unpacked is null. @param {Uint8Array} zip @param {string[]} names @returns {Record<string, Uint8Array<ArrayBuffer> | null>} */
function unpacked(zip, names) {
  const wanted = new Set(names);
  try {
    return /** @type {Record<string, Uint8Array<ArrayBuffer>>} */ (unzipSync(zip, { filter: ({ name }) => wanted.has(name) }));
  } catch {
    if (names.length === 1) return { [names[0]]: null };
    return Object.assign({}, ...names.map((name) => unpacked(zip, [name]))); // one of them is damaged
  }
}

/** @param {Around} around @param {Uint8Array[]} inputs */
async function ask({ network, device, on }, inputs) {
  const pixels = new Uint8Array(inputs.length * inputs[0].length);
  inputs.forEach((one, i) => pixels.set(one, i * one.length));
  for (;;) {
    try {
      return await network.classifyAll(pixels.slice(), inputs.length);
    } catch (error) {
      if (!(error instanceof NotYet) || !on()) throw error;
      await device.pause(WAIT_MS);
    }
  }
}

/** Classify a zip's pictures; throws a sentence where it is no zip or holds nothing. @param {File} file @param {Around} around @returns {Promise<Outcome>} */
export async function classifyZip(file, around) {
  const zip = new Uint8Array(await file.arrayBuffer());
  /** @type {ReturnType<typeof listed>} */
  let files;
  try {
    files = listed(zip);
  } catch {
    throw new Error(words.notZip(file.name));
  }
  if (!files.length) throw new Error(words.emptyZip(file.name));
  /** @type {Outcome} */
  const outcome = { done: 0, total: files.length, rows: [], bad: [], labels: [] };
  for (let at = 0; at < files.length && around.on(); at += UNPACKED) await some(zip, files.slice(at, at + UNPACKED), outcome, around);
  return outcome;
}

/** @param {Uint8Array} zip @param {{name: string, size: number}[]} files @param {Outcome} outcome @param {Around} around */
async function some(zip, files, outcome, around) {
  const bytes = unpacked(zip, files.filter(({ size }) => size <= MOST_BYTES).map(({ name }) => name));
  /** @type {{name: string, input: Uint8Array}[]} */
  const good = [];
  for (const { name, size } of files) {
    const reason = size > MOST_BYTES ? words.badLarge : bytes[name] ? await read(new Blob([bytes[name]]), name, good, around) : words.badPacked;
    if (reason) outcome.bad.push({ name, reason });
  }
  for (let at = 0; at < good.length && around.on(); at += BATCH) {
    const part = good.slice(at, at + BATCH);
    const { iteration, labels, probabilities } = await ask(around, part.map(({ input }) => input));
    const n = probabilities.length / part.length;
    part.forEach(({ name }, i) => outcome.rows.push({ name, iteration, probabilities: probabilities.slice(i * n, (i + 1) * n) }));
    outcome.labels = labels;
  }
  outcome.done += files.length;
  around.tell({ ...outcome });
}

/** Decode one picture; returns why not, or nothing. @param {Blob} blob @param {string} name @param {{name: string, input: Uint8Array}[]} good @param {Around} around */
async function read(blob, name, good, { device, input }) {
  try {
    good.push({ name, input: toInput(await device.decode(blob), input, input.mode) });
    return "";
  } catch {
    return words.badPicture; // the browser says no more than that
  }
}
