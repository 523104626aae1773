/* A worker's own script: joins the role's class to messages, the clock and the engine.
 *
 * boss → here: start {module}, network {version, layers, labels, seed}, assign {assignment, shards},
 *              shard {hash, pixels, labels}, order {iteration, version, order, parameters}, stop.
 * here → boss: loaded {hash}, result {iteration, count, loss, wrong, ms, all, gradient}, failed {reason}.
 */

import {createNetwork} from "../engine/wasm.js";
import {listen, makeYield, send} from "../port.js";
import {Trainer} from "../trainer.js";

/** @type {import("../port.js").Endpoint} */
const boss = /** @type {any} */ (self);

/** @type {WebAssembly.Module} */
let engine;

const trainer = new Trainer({
  createNetwork: async (layers, labels, batch) => createNetwork(engine, layers, labels.length, batch),
  now: () => performance.now(),
  rest: makeYield(),
  answer: (message, transfer) => send(boss, message, transfer),
});

/** @type {import("../port.js").Handlers} */
const handlers = {
  start: ({module}) => void (engine = module),
  network: message => trainer.network(message),
  assign: message => trainer.assign(message),
  shard: message => trainer.shard(message),
  order: message => trainer.order(message),
  stop: () => trainer.stop(),
};
listen(boss, handlers, error => send(boss, {type: "failed", reason: error.message}));
