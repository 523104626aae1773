/* A shard's bytes to pixels and labels, in script: browsers decode pictures differently, and some add noise on purpose.
 *
 * The format is "A shard" in docs/architecture.md. Whatever disagrees with it is an error that names the entry.
 */

import {decodePng, unzipSync} from "./codecs.js";
import {reasons} from "./reasons.js";

/** @typedef {{width: number, height: number, channels: number, labels: number[]}} Manifest */
/** @typedef {{width: number, height: number, channels: number, pixels: Uint8Array, labels: Uint16Array}} Unpacked */

/**
 * Unpack a shard: pixels as [vector][y][x][channel], labels as the cut's label indices.
 * @param {Uint8Array} bytes
 * @returns {Unpacked}
 */
export function unpack(bytes) {
  const entries = unzipSync(bytes);
  if (!entries["manifest.json"]) throw new Error(reasons.data.noManifest);
  /** @type {Manifest} */
  const {width, height, channels, labels} = JSON.parse(new TextDecoder().decode(entries["manifest.json"]));
  const size = width * height * channels;
  const pixels = new Uint8Array(labels.length * size);
  for (let i = 0; i < labels.length; i++) {
    const name = `${String(i).padStart(4, "0")}.png`;
    if (!entries[name]) throw new Error(reasons.data.noPicture(labels.length, name));
    pixels.set(picture(entries[name], name, width, height, channels), i * size);
  }
  return {width, height, channels, pixels, labels: Uint16Array.from(labels)};
}

/**
 * @param {Uint8Array} png
 * @param {string} name
 * @param {number} width
 * @param {number} height
 * @param {number} channels
 */
function picture(png, name, width, height, channels) {
  const image = decodePng(png);
  if (image.width === width && image.height === height && image.channels === channels && image.depth === 8)
    return image.data;
  const found = `${image.width}×${image.height}×${image.channels}, ${image.depth} bits`;
  throw new Error(reasons.data.otherPicture(name, found, `${width}×${height}×${channels}`));
}
