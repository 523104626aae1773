/* A picture to a network's input, as mlitb/pixels.py does it: the same box, the same area-weighted triangle.
 *
 * Rules of this file:
 * - White behind transparency, then grey or RGB, then crop box and resize in one step. Upright is the caller's affair.
 * - It mirrors Pillow's bilinear resize: across, rounded to bytes, then down. tests hold it to 1/255 of it.
 */

/** @typedef {"crop" | "fit" | "stretch"} Mode */
/** @typedef {{width: number, height: number, data: Uint8ClampedArray | Uint8Array}} Rgba */
/** @typedef {{width: number, height: number, channels: number}} Shape */
/** @typedef {{start: number, weights: number[]}[]} Kernel one per output: which inputs count how much */

/**
 * Make a network's input of a picture.
 * @param {Rgba} picture
 * @param {Shape} shape
 * @param {Mode} [mode]
 * @returns {Uint8Array} [y][x][channel]
 */
export function toInput(picture, {width, height, channels}, mode = "crop") {
  const flat = flatten(picture, channels);
  const {width: from, height: down} = picture;
  if (mode !== "fit") {
    const [left, top, right, bottom] = mode === "crop" ? cover(from, down, width, height) : [0, 0, from, down];
    return resize(flat, from, channels, kernel(from, left, right, width), kernel(down, top, bottom, height));
  }
  const scale = Math.min(width / from, height / down);
  const [w, h] = [Math.max(1, evenRound(from * scale)), Math.max(1, evenRound(down * scale))];
  const inner = resize(flat, from, channels, kernel(from, 0, from, w), kernel(down, 0, down, h));
  const out = new Uint8Array(width * height * channels);
  const [x, y] = [Math.floor((width - w) / 2), Math.floor((height - h) / 2)];
  for (let row = 0; row < h; row++)
    out.set(inner.subarray(row * w * channels, (row + 1) * w * channels), ((y + row) * width + x) * channels);
  return out;
}

/** Halves to the even neighbour, as Python rounds. @param {number} value */
function evenRound(value) {
  const down = Math.floor(value);
  return value - down === 0.5 ? down + (down % 2) : Math.round(value);
}

/**
 * The largest centred box of the target's proportions: left, top, right, bottom.
 * @param {number} width
 * @param {number} height
 * @param {number} toWidth
 * @param {number} toHeight
 */
function cover(width, height, toWidth, toHeight) {
  const scale = Math.min(width / toWidth, height / toHeight);
  const [left, top] = [(width - toWidth * scale) / 2, (height - toHeight * scale) / 2];
  return [Math.max(0, left), Math.max(0, top), Math.min(width, width - left), Math.min(height, height - top)];
}

/**
 * Lay a picture on white and make it grey (ITU-R 601-2, as Pillow's L) or RGB.
 * @param {Rgba} picture
 * @param {number} channels
 */
function flatten({width, height, data}, channels) {
  const out = new Uint8Array(width * height * channels);
  for (let i = 0, from = 0, to = 0; i < width * height; i++, from += 4) {
    const alpha = data[from + 3];
    let [r, g, b] = [data[from], data[from + 1], data[from + 2]];
    if (alpha < 255) [r, g, b] = [onWhite(r, alpha), onWhite(g, alpha), onWhite(b, alpha)];
    if (channels === 1) out[to++] = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
    else {
      out[to++] = r;
      out[to++] = g;
      out[to++] = b;
    }
  }
  return out;
}

/** @param {number} value @param {number} alpha */
const onWhite = (value, alpha) => Math.round((value * alpha + 255 * (255 - alpha)) / 255);

/**
 * Weights of a triangle that is as wide as the reduction, over the box from `left` to `right`.
 * @param {number} size of the input
 * @param {number} left
 * @param {number} right
 * @param {number} to how many outputs
 * @returns {Kernel}
 */
function kernel(size, left, right, to) {
  const scale = (right - left) / to;
  const support = Math.max(1, scale);
  return Array.from({length: to}, (_, i) => {
    const centre = left + (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(size, Math.trunc(centre + support + 0.5));
    const raw = Array.from({length: end - start}, (_, j) => Math.max(0, 1 - Math.abs((start + j - centre + 0.5) / support)));
    const total = raw.reduce((sum, weight) => sum + weight, 0);
    return {start, weights: raw.map(weight => weight / total)};
  });
}

/**
 * @param {Uint8Array} from [y][x][channel]
 * @param {number} width of it
 * @param {number} channels
 * @param {Kernel} across
 * @param {Kernel} down
 */
function resize(from, width, channels, across, down) {
  const height = from.length / width / channels;
  const narrow = new Uint8Array(height * across.length * channels);
  for (let y = 0; y < height; y++)
    weigh(from.subarray(y * width * channels), channels, channels, across, narrow.subarray(y * across.length * channels));
  const row = across.length * channels;
  const out = new Uint8Array(down.length * row);
  for (let x = 0; x < row; x++) weigh(narrow.subarray(x), row, 1, down, out.subarray(x), row);
  return out;
}

/**
 * Weigh one line: inputs `step` apart, `channels` of them beside each other, outputs `stride` apart.
 * @param {Uint8Array} line
 * @param {number} step
 * @param {number} channels
 * @param {Kernel} kernel
 * @param {Uint8Array} out
 * @param {number} [stride]
 */
function weigh(line, step, channels, kernel, out, stride = step) {
  kernel.forEach(({start, weights}, i) => {
    for (let c = 0; c < channels; c++) {
      let sum = 0.5;
      for (let j = 0; j < weights.length; j++) sum += weights[j] * line[(start + j) * step + c];
      out[i * stride + c] = Math.max(0, Math.min(255, Math.floor(sum)));
    }
  });
}
