/**
 * What an engine is to the trainers, trackers and classifiers: types only. wasm.js fulfils it; another engine (WebGPU)
 * would fulfil the same contract and pass the same tests.
 *
 * A network is one object; drop it and its memory is freed. Parameters and gradients are one flat float32 vector whose
 * layout docs/architecture.md gives; a gradient is a sum over vectors. Nothing here is asynchronous, and nothing may be
 * called from two places at once. What the engine refuses is an EngineError with a sentence for people.
 */

/**
 * A part of the flat parameter vector: `vector.subarray(offset, offset + size)`, row-major of `shape`.
 * @typedef {object} Block
 * @property {string} name "conv1.weights"
 * @property {number[]} shape
 * @property {number} offset
 * @property {number} size
 * @property {boolean} frozen
 * @property {number} learningRateMultiplier
 * @property {number} l2Multiplier
 */

/**
 * Pixels of n vectors, [n][y][x][channel]: bytes 0 … 255, or floats 0 … 1.
 * @typedef {Uint8Array | Float32Array} Pixels
 */

/** @typedef {Uint8Array | Int32Array | number[]} Labels */

/**
 * The loss summed over the vectors, and how many answers were wrong.
 * @typedef {object} Outcome
 * @property {number} loss
 * @property {number} wrong
 */

/**
 * @typedef {object} Network
 * @property {number} batch the most vectors in a micro-batch
 * @property {number} bytes of memory that it takes
 * @property {number} parameterCount
 * @property {Block[]} layout
 * @property {string[]} names of the layers
 * @property {number[][]} shapes of each layer's output: [height, width, channels]
 * @property {(seed: number) => Float32Array} initial the initial values for a seed, a copy
 * @property {(vector: Float32Array) => void} setParameters
 * @property {() => void} clear set the gradient sum to zero
 * @property {(pixels: Pixels, labels: Labels, n: number, keys?: Uint32Array, seed?: number,
 *   iteration?: number) => Outcome} gradient add a micro-batch's gradients to the sum; (seed, iteration, key) decide
 *   dropout and augmentation
 * @property {() => Float32Array} gradientSum a view into the engine's memory, valid until the next call: copy it
 * @property {() => void} beginLocal begin local steps at the present parameters, with an empty gradient sum
 * @property {(n: number, rate: number, momentum?: number, l2?: number) => void} localStep a step of SGD with momentum
 *   along the mean of the gradient sum over n vectors; clears the sum
 * @property {() => Float32Array} localDifference the parameters minus those at beginLocal, a view: copy it
 * @property {(pixels: Pixels, n: number) => Float32Array} probabilities [n][outputs], a copy
 * @property {(pixels: Pixels, labels: Labels, n: number) => Outcome} evaluate without dropout, without a gradient
 * @property {(name: string, pixels: Pixels, n: number) => Float32Array} activations of a named layer, a copy
 */

export {};
