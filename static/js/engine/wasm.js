/**
 * The WebAssembly engine behind contract.js. One instance is one network.
 *
 * - No arithmetic on parameters, pixels or gradients here: the module does it, or bits would differ between hosts.
 * - The instance's memory is fixed once the network is made, so views of it stay valid.
 * - mlitb/engine.py is the mirror for Python; docs/engine.md describes the module's interface.
 */

/** @import { Block, Labels, Network, Outcome, Pixels } from "./contract.js" */

/** The engine refused a network or an input; the message is one sentence that names what was wrong. */
export class EngineError extends Error {
  /** @override */
  name = "EngineError";
}

/**
 * Compile engine.wasm once; a module can be posted to workers.
 * @param {BufferSource} bytes
 * @returns {Promise<WebAssembly.Module>}
 */
export function compile(bytes) {
  return WebAssembly.compile(bytes);
}

/**
 * Make a network for micro-batches of up to `batch` vectors; throws EngineError when it cannot be.
 * @param {WebAssembly.Module} module
 * @param {readonly object[]} layers
 * @param {number} labels how many
 * @param {number} [batch]
 * @returns {Network}
 */
export function createNetwork(module, layers, labels, batch = 16) {
  const exports = /** @type {Exports} */ (/** @type {unknown} */ (new WebAssembly.Instance(module).exports));
  const spec = new TextEncoder().encode(JSON.stringify(layers));
  const room = exports.room(spec.length);
  new Uint8Array(exports.memory.buffer, room, spec.length).set(spec);
  check(exports, exports.describe(spec.length, labels, batch));
  const report = JSON.parse(textOf(exports));
  check(exports, exports.allocate());
  return new WasmNetwork(exports, report);
}

/** @implements {Network} */
class WasmNetwork {
  #exports;
  #sizes;
  #vector;
  #outputs;
  #bytes;
  #floats;
  #labels;
  #keys;

  /**
   * @param {Exports} exports
   * @param {Report} report
   */
  constructor(exports, report) {
    const { buffer } = exports.memory;
    this.#exports = exports;
    this.batch = report.batch;
    this.bytes = report.bytes;
    this.parameterCount = report.parameters;
    this.names = report.layers.map((layer) => layer.name);
    this.shapes = report.layers.map((layer) => layer.shape);
    this.layout = report.blocks.map(blockOf);
    this.#sizes = this.shapes.map((shape) => shape.reduce((product, side) => product * side, 1));
    this.#vector = new Float32Array(buffer, report.at_vector, report.parameters);
    this.#outputs = new Float32Array(buffer, report.at_outputs, report.outputs * report.batch);
    this.#bytes = new Uint8Array(buffer, report.at_pixels, this.#sizes[0] * report.batch);
    this.#floats = new Float32Array(buffer, report.at_pixels, this.#sizes[0] * report.batch);
    this.#labels = new Int32Array(buffer, report.at_labels, report.batch);
    this.#keys = new Uint32Array(buffer, report.at_keys, report.batch);
  }

  /** @param {number} seed */
  initial(seed) {
    this.#exports.initial(seed, high(seed));
    return this.#vector.slice();
  }

  /** @param {Float32Array} values */
  setParameters(values) {
    if (values.length !== this.parameterCount)
      throw new EngineError(`this network has ${this.parameterCount} parameters, not ${values.length}`);
    this.#vector.set(values);
    check(this.#exports, this.#exports.load());
  }

  clear() {
    this.#exports.clear();
  }

  /**
   * @param {Pixels} pixels
   * @param {Labels} labels
   * @param {number} n
   * @param {Uint32Array} [keys]
   */
  gradient(pixels, labels, n, keys, seed = 0, iteration = 0) {
    const floats = this.#put(pixels, n, labels);
    if (keys) this.#keys.set(keys.subarray(0, n));
    else this.#keys.fill(0, 0, n);
    check(this.#exports, this.#exports.gradient(n, floats, seed, high(seed), iteration));
    return this.#outcome();
  }

  gradientSum() {
    this.#exports.save();
    return this.#vector;
  }

  beginLocal() {
    this.#exports.begin_local();
  }

  /**
   * @param {number} n
   * @param {number} rate
   */
  localStep(n, rate, momentum = 0.9, l2 = 0) {
    check(this.#exports, this.#exports.local_step(n, rate, momentum, l2));
  }

  localDifference() {
    this.#exports.local_difference();
    return this.#vector;
  }

  /**
   * @param {Pixels} pixels
   * @param {number} n
   */
  probabilities(pixels, n) {
    check(this.#exports, this.#exports.probabilities(n, this.#put(pixels, n)));
    return this.#outputs.slice(0, n * this.#sizes[this.#sizes.length - 1]);
  }

  /**
   * @param {Pixels} pixels
   * @param {Labels} labels
   * @param {number} n
   */
  evaluate(pixels, labels, n) {
    check(this.#exports, this.#exports.evaluate(n, this.#put(pixels, n, labels)));
    return this.#outcome();
  }

  /**
   * @param {string} name
   * @param {Pixels} pixels
   * @param {number} n
   */
  activations(name, pixels, n) {
    const index = this.names.indexOf(name);
    if (index < 0) throw new EngineError(`there is no layer ${name}; there are ${this.names.join(", ")}`);
    check(this.#exports, this.#exports.activations(index, n, this.#put(pixels, n)));
    return this.#outputs.slice(0, n * this.#sizes[index]);
  }

  /**
   * Copy a micro-batch in; returns 1 when its pixels are floats.
   * @param {Pixels} pixels
   * @param {number} n
   * @param {Labels} [labels]
   */
  #put(pixels, n, labels) {
    const size = this.#sizes[0];
    if (!(n >= 1 && n <= this.batch) || pixels.length < n * size)
      throw new EngineError(
        `pixels must be 1 to ${this.batch} vectors of ${size} values, not ${pixels.length} values for ${n}`,
      );
    if (labels && labels.length < n) throw new EngineError(`${n} vectors need ${n} labels, not ${labels.length}`);
    for (let i = 0; labels && i < n; i++) this.#labels[i] = labels[i];
    const floats = !(pixels instanceof Uint8Array);
    (floats ? this.#floats : this.#bytes).set(pixels.subarray(0, n * size));
    return Number(floats);
  }

  /** @returns {Outcome} */
  #outcome() {
    return { loss: this.#exports.loss(), wrong: this.#exports.wrong() };
  }
}

/**
 * @param {Exports} exports
 * @param {number} accepted what a function that can refuse returned
 */
function check(exports, accepted) {
  if (!accepted) throw new EngineError(textOf(exports));
}

/** @param {Exports} exports */
function textOf(exports) {
  return new TextDecoder().decode(new Uint8Array(exports.memory.buffer, exports.text_at(), exports.text_size()));
}

/** @param {number} seed 0 … 2⁵³; its low 32 bits are what wasm takes of it */
function high(seed) {
  return Math.floor(seed / 2 ** 32);
}

/**
 * @param {ReportedBlock} said
 * @returns {Block}
 */
function blockOf(said) {
  const { shape, offset, size, frozen } = said;
  const multipliers = { learningRateMultiplier: said.learning_rate_multiplier, l2Multiplier: said.l2_multiplier };
  return { name: `${said.layer}.${said.kind}`, shape, offset, size, frozen, ...multipliers };
}

/**
 * What the engine says of a network (docs/engine.md); addresses are in bytes.
 * @typedef {{parameters: number, labels: number, batch: number, bytes: number, outputs: number, at_vector: number,
 *   at_outputs: number, at_pixels: number, at_labels: number, at_keys: number,
 *   layers: {name: string, type: string, shape: number[]}[], blocks: ReportedBlock[]}} Report
 */

/**
 * @typedef {{layer: string, kind: string, shape: number[], offset: number, size: number, frozen: boolean,
 *   learning_rate_multiplier: number, l2_multiplier: number}} ReportedBlock
 */

/**
 * @typedef {object} Exports
 * @property {WebAssembly.Memory} memory
 * @property {(bytes: number) => number} room
 * @property {(size: number, labels: number, batch: number) => number} describe
 * @property {() => number} allocate
 * @property {() => number} text_at
 * @property {() => number} text_size
 * @property {() => number} loss
 * @property {() => number} wrong
 * @property {(low: number, high: number) => void} initial
 * @property {() => number} load
 * @property {() => void} clear
 * @property {() => void} save
 * @property {() => void} begin_local
 * @property {(n: number, rate: number, momentum: number, l2: number) => number} local_step
 * @property {() => void} local_difference
 * @property {(n: number, floats: number, low: number, high: number, iteration: number) => number} gradient
 * @property {(n: number, floats: number) => number} evaluate
 * @property {(n: number, floats: number) => number} probabilities
 * @property {(layer: number, n: number, floats: number) => number} activations
 */
