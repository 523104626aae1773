// Numbers of a network as small pictures: one tile for each filter or channel, all tiles of a figure on one scale. Pure.

/** @typedef {import("./types").Values} Values @typedef {import("./types").Input} Input */
/** @typedef {{width: number, height: number, channels: 1 | 3, values: Float32Array}} Tile [y][x][channel] */
/** @typedef {{tiles: Tile[], low: number, high: number}} Figure the least and the largest of all its values */
/** @typedef {[number, number, number]} Colour */

/** @param {Tile[]} tiles @returns {Figure} */
function figure(tiles) {
  let [low, high] = [Infinity, -Infinity];
  for (const { values } of tiles)
    for (const value of values) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  return { tiles, low, high };
}

/** What a layer computes, a tile for each channel. @param {Values} layer shape [height, width, channels] */
export function channelsOf({ shape: [height, width, n], values }) {
  const tiles = Array.from({ length: n }, (_, c) => tileOf(width, height, 1, (i) => values[i * n + c]));
  return figure(tiles);
}

/**
 * The first layer's weights, a tile for each of its outputs, as it lies over the picture.
 * @param {Values} block of a convolution [kernel y][kernel x][in][out], of a fully connected layer [out][y, x, in] @param {Input} input
 */
export function filtersOf({ shape, values }, input) {
  const colour = input.channels === 3 ? 3 : 1;
  if (shape.length === 4) {
    const [height, width, , n] = shape;
    return figure(Array.from({ length: n }, (_, out) => tileOf(width, height, colour, (i) => values[i * n + out])));
  }
  const size = input.width * input.height * input.channels;
  return figure(Array.from({ length: shape[0] }, (_, out) => tileOf(input.width, input.height, colour, (i) => values[out * size + i])));
}

/** @param {number} width @param {number} height @param {1 | 3} channels @param {(i: number) => number} at @returns {Tile} */
const tileOf = (width, height, channels, at) => ({ width, height, channels, values: Float32Array.from({ length: width * height * channels }, (_, i) => at(i)) });

/**
 * Colours of a tile, RGBA: a value's sign gives the colour and its size how much of it covers the ground; of a tile with three channels each value
 * moves its own channel away from grey.
 * @param {Tile} tile @param {number} most the value of full colour @param {Colour} negative @param {Colour} positive
 */
export function paintTile({ width, height, channels, values }, most, negative, positive) {
  const out = new Uint8ClampedArray(4 * width * height);
  const full = most || 1;
  for (let i = 0; i < width * height; i++) {
    if (channels === 3) out.set([0, 1, 2].map((c) => 127.5 + (127.5 * values[3 * i + c]) / full).concat(255), 4 * i);
    else out.set([...(values[i] < 0 ? negative : positive), (255 * Math.abs(values[i])) / full], 4 * i);
  }
  return out;
}
