/* Answers questions about the newest network: what a picture shows, what a layer sees, what the first filters are.
 *
 * Rules of this file:
 * - Pixels come as the network takes them, [n][y][x][channel] bytes (resize.js makes them).
 * - Every question gets one answer with its id, also when it cannot be answered: then with the reason.
 */

import {Tracker} from "./tracker.js";

/** @typedef {import("./port.js").Message} Message */
/**
 * @typedef {object} Surroundings
 * @property {import("./tracker.js").Surroundings["createNetwork"]} createNetwork
 * @property {(message: Message, transfer: Transferable[]) => void} say
 */

export class Classifier {
  /** @param {Surroundings} surroundings */
  constructor({createNetwork, say}) {
    this.say = say;
    this.tracker = new Tracker({
      createNetwork,
      free: () => say({type: "free"}, []),
      use: async () => say({type: "told", what: "snapshot", ...this.snapshot()}, []),
    });
  }

  /** What can be asked of the newest network: its labels, its layers with their shapes, its blocks of parameters. */
  snapshot() {
    const {engine, iteration, labels} = this.tracker.looking;
    const layers = engine.names.map((name, i) => ({name, shape: engine.shapes[i]}));
    return {iteration, labels, layers, blocks: engine.layout.map(({name, shape}) => ({name, shape}))};
  }

  /**
   * @param {Message} question with an id
   * @param {() => {fields: object, transfer: Transferable[]}} find
   */
  answer({id, type: what}, find) {
    try {
      const {iteration} = this.tracker.looking;
      const {fields, transfer} = find();
      this.say({type: "told", what, id, iteration, ...fields}, transfer);
    } catch (error) {
      this.say({type: "told", what, id, reason: /** @type {Error} */ (error).message}, []);
    }
  }

  /**
   * Tell probabilities, [n][outputs]: a network of fixed size may have more outputs than labels.
   * @param {{type: string, id: number, pixels: Uint8Array, n?: number}} question
   */
  classify(question) {
    this.answer(question, () => {
      const {engine, labels} = this.tracker.looking;
      const outputs = engine.shapes[engine.shapes.length - 1].reduce((product, side) => product * side, 1);
      const probabilities = inBatches(engine, question.pixels, question.n ?? 1, outputs);
      return {fields: {labels, probabilities}, transfer: [probabilities.buffer]};
    });
  }

  /**
   * Tell what a layer gives for one picture, [y][x][channel].
   * @param {{type: string, id: number, pixels: Uint8Array, layer: string}} question
   */
  look(question) {
    this.answer(question, () => {
      const {engine} = this.tracker.looking;
      const values = engine.activations(question.layer, question.pixels, 1);
      const shape = engine.shapes[engine.names.indexOf(question.layer)];
      return {fields: {layer: question.layer, values, shape, layers: engine.names}, transfer: [values.buffer]};
    });
  }

  /**
   * Tell a block of parameters by its name, or the first one: the first layer's filters.
   * @param {{type: string, id: number, name?: string}} question
   */
  weights(question) {
    this.answer(question, () => {
      const {engine, vector} = this.tracker.looking;
      const block = question.name ? engine.layout.find(({name}) => name === question.name) : engine.layout[0];
      if (!block) throw new Error(`there are no parameters ${question.name}; there are ${engine.layout.map(({name}) => name).join(", ")}`);
      const values = vector.slice(block.offset, block.offset + block.size);
      return {fields: {name: block.name, shape: block.shape, values}, transfer: [values.buffer]};
    });
  }
}

/**
 * @param {import("./engine/contract.js").Network} engine
 * @param {Uint8Array} pixels of n pictures
 * @param {number} n
 * @param {number} outputs
 * @returns {Float32Array} [n][outputs]
 */
export function inBatches(engine, pixels, n, outputs) {
  const size = pixels.length / n;
  const all = new Float32Array(n * outputs);
  for (let at = 0; at < n; at += engine.batch) {
    const some = Math.min(engine.batch, n - at);
    all.set(engine.probabilities(pixels.subarray(at * size, (at + some) * size), some), at * outputs);
  }
  return all;
}
