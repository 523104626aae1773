/**
 * The WebAssembly engine behind contract.js. One instance is one network.
 *
 * - No arithmetic on parameters, pixels or gradients here: the module does it, or bits would differ between hosts.
 * - Views are made anew at each use of the memory only where it may have grown: it never grows after allocate().
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

/** @param {Exports} exports */
function textOf(exports) {
  return new TextDecoder().decode(new Uint8Array(exports.memory.buffer, exports.text_at(), exports.text_size()));
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
  /** @param {number} accepted */
  const check = (accepted) => {
    if (!accepted) throw new EngineError(textOf(exports));
  };
  const spec = new TextEncoder().encode(JSON.stringify(layers));
  const room = exports.room(spec.length);
  new Uint8Array(exports.memory.buffer, room, spec.length).set(spec);
  check(exports.describe(spec.length, labels, batch));
  const report = JSON.parse(textOf(exports));
  check(exports.allocate());
  return networkOf(exports, report, check);
}

/**
 * @param {Exports} exports
 * @param {any} report what the engine said of the network, as JSON
 * @param {(accepted: number) => void} check
 * @returns {Network}
 */
function networkOf(exports, report, check) {
  const { buffer } = exports.memory;
  const { batch, parameters: parameterCount } = report;
  /** @type {number[][]} */
  const shapes = report.layers.map((/** @type {any} */ layer) => layer.shape);
  /** @type {string[]} */
  const names = report.layers.map((/** @type {any} */ layer) => layer.name);
  const sizes = shapes.map((shape) => shape.reduce((product, side) => product * side, 1));
  const vector = new Float32Array(buffer, report.at_vector, parameterCount);
  const outputs = new Float32Array(buffer, report.at_outputs, report.outputs * batch);
  const bytes = new Uint8Array(buffer, report.at_pixels, sizes[0] * batch);
  const floats = new Float32Array(buffer, report.at_pixels, sizes[0] * batch);
  const labelRoom = new Int32Array(buffer, report.at_labels, batch);
  const keyRoom = new Uint32Array(buffer, report.at_keys, batch);

  /**
   * Copy a micro-batch in; returns 1 when its pixels are floats.
   * @param {Pixels} pixels
   * @param {number} n
   * @param {Labels} [labels]
   */
  function put(pixels, n, labels) {
    if (!(n >= 1 && n <= batch) || pixels.length < n * sizes[0])
      throw new EngineError(`pixels must be 1 to ${batch} vectors of ${sizes[0]} values, not ${pixels.length} values for ${n}`);
    if (labels && labels.length < n) throw new EngineError(`${n} vectors need ${n} labels, not ${labels.length}`);
    (pixels instanceof Uint8Array ? bytes : floats).set(pixels.subarray(0, n * sizes[0]));
    if (labels) for (let i = 0; i < n; i++) labelRoom[i] = labels[i];
    return pixels instanceof Uint8Array ? 0 : 1;
  }
  /** @returns {Outcome} */
  const outcome = () => ({ loss: exports.loss(), wrong: exports.wrong() });
  /** @param {number} seed */
  const high = (seed) => Math.floor(seed / 2 ** 32);

  return {
    batch, parameterCount, shapes, names,
    bytes: report.bytes,
    layout: report.blocks.map(blockOf),
    initial(seed) {
      exports.initial(seed, high(seed));
      return vector.slice();
    },
    setParameters(values) {
      if (values.length !== parameterCount)
        throw new EngineError(`this network has ${parameterCount} parameters, not ${values.length}`);
      vector.set(values);
      check(exports.load());
    },
    clear: () => exports.clear(),
    gradient(pixels, labels, n, keys, seed = 0, iteration = 0) {
      const kind = put(pixels, n, labels);
      if (keys) keyRoom.set(keys.subarray(0, n));
      else keyRoom.fill(0, 0, n);
      check(exports.gradient(n, kind, seed, high(seed), iteration));
      return outcome();
    },
    gradientSum() {
      exports.save();
      return vector;
    },
    beginLocal: () => exports.begin_local(),
    localStep: (n, rate, momentum = 0.9, l2 = 0) => check(exports.local_step(n, rate, momentum, l2)),
    localDifference() {
      exports.local_difference();
      return vector;
    },
    probabilities(pixels, n) {
      check(exports.probabilities(n, put(pixels, n)));
      return outputs.slice(0, n * sizes[sizes.length - 1]);
    },
    evaluate(pixels, labels, n) {
      check(exports.evaluate(n, put(pixels, n, labels)));
      return outcome();
    },
    activations(name, pixels, n) {
      const index = names.indexOf(name);
      if (index < 0) throw new EngineError(`there is no layer ${name}; there are ${names.join(", ")}`);
      check(exports.activations(index, n, put(pixels, n)));
      return outputs.slice(0, n * sizes[index]);
    },
  };
}

/**
 * @param {any} said
 * @returns {Block}
 */
function blockOf(said) {
  const { shape, offset, size, frozen } = said;
  const multipliers = { learningRateMultiplier: said.learning_rate_multiplier, l2Multiplier: said.l2_multiplier };
  return { name: `${said.layer}.${said.kind}`, shape, offset, size, frozen, ...multipliers };
}
