/* The newest parameters of a project, for those who only look: statistics, classifying, looking inside.
 *
 * Rules of this file:
 * - One snapshot at a time; the next is asked for when this one is done with, so what takes long skips to the newest.
 * - A snapshot of another version than the network's is let go: its network is on the way.
 */

import {reasons} from "./reasons.js";

/** @typedef {import("./engine/contract.js").Network} Network */
/** @typedef {{iteration: number, version: number, vector: Float32Array}} Snapshot */
/**
 * @typedef {object} Surroundings
 * @property {(layers: object[], labels: string[], batch: number) => Promise<Network>} createNetwork
 * @property {() => void} free asks for the next snapshot
 * @property {() => Promise<void>} use does with the snapshot what is to be done with it
 */

const BATCH = 16;

export class Tracker {
  /** @param {Surroundings} surroundings */
  constructor(surroundings) {
    this.surroundings = surroundings;
    /** @type {Network | null} */
    this.engine = null;
    this.version = -1;
    /** @type {string[]} */
    this.labels = [];
    /** @type {Snapshot | null} what the engine holds */
    this.snapshot = null;
    /** @type {Promise<void>} the network that snapshots wait for */
    this.built = Promise.resolve();
  }

  /** @param {{version: number, layers: object[], labels: string[]}} network */
  async network({version, layers, labels}) {
    this.snapshot = null;
    this.built = this.surroundings.createNetwork(layers, labels, BATCH).then(engine => {
      Object.assign(this, {engine, version, labels});
    });
    await this.built;
  }

  /** @param {Snapshot} snapshot */
  async parameters(snapshot) {
    await this.built;
    if (this.engine && snapshot.version === this.version) {
      this.engine.setParameters(snapshot.vector);
      this.snapshot = snapshot;
      await this.surroundings.use();
    }
    this.surroundings.free();
  }

  /** The engine with a snapshot in it; throws when none has come yet. */
  get looking() {
    if (!this.engine || !this.snapshot) throw new Error(reasons.worker.noParameters);
    return {engine: this.engine, iteration: this.snapshot.iteration, version: this.version, labels: this.labels, vector: this.snapshot.vector};
  }
}
