/* A worker's own script: joins its role's class to messages, the clock and the engine.
 *
 * boss → here: start {module, role}, then by role
 *   all         network {version, layers, labels, seed}, assign {assignment, shards}
 *   trainer     shard {hash, pixels, labels}, order {iteration, version, order, parameters}, giveWay {ms}, stop
 *   statistics  shard {hash, pixels, labels}, parameters {iteration, version, vector}, stop
 *   classify, tracker   parameters, classify {id, pixels, n}, look {id, pixels, layer}, weights {id, name}, stop
 * here → boss: up once it listens (supervise.js), loaded {hash}, result {iteration, count, loss, wrong, ms, all, gradient}, free, told {what, …},
 *              failed {reason}.
 */

import {Classifier} from "../classify.js";
import {createNetwork} from "../engine/wasm.js";
import {listen, makeYield, send} from "../port.js";
import {Statistics} from "../statistics.js";
import {Trainer} from "../trainer.js";

/** @typedef {import("../port.js").Handlers} Handlers */
/** @type {import("../port.js").Endpoint} */
const boss = /** @type {any} */ (self);

/** @param {WebAssembly.Module} module */
function surroundingsOf(module) {
  const say = (/** @type {import("../port.js").Message} */ message, /** @type {Transferable[]} */ transfer = []) =>
    send(boss, message, transfer);
  return {
    createNetwork: async (/** @type {object[]} */ layers, /** @type {string[]} */ labels, /** @type {number} */ batch) =>
      createNetwork(module, layers, labels.length, batch),
    now: () => performance.now(),
    rest: makeYield(),
    sleep: (/** @type {number} */ ms) => /** @type {Promise<void>} */ (new Promise(resolve => void self.setTimeout(resolve, ms))),
    say,
    answer: say,
  };
}

/** @typedef {ReturnType<typeof surroundingsOf>} Surroundings */

/** @param {Surroundings} surroundings @returns {Handlers} */
function trainer(surroundings) {
  const role = new Trainer(surroundings);
  return {
    network: message => role.network(message),
    assign: message => role.assign(message),
    shard: message => role.shard(message),
    order: message => role.order(message),
    giveWay: ({ms}) => role.giveWay(ms),
    stop: () => role.stop(),
  };
}

/** @param {Surroundings} surroundings @returns {Handlers} */
function statistics(surroundings) {
  const role = new Statistics(surroundings);
  return {
    network: message => role.network(message),
    assign: message => role.assign(message),
    shard: message => role.shard(message),
    parameters: message => role.tracker.parameters(message),
    stop: () => {},
  };
}

/** @param {Surroundings} surroundings @returns {Handlers} */
function classify(surroundings) {
  const role = new Classifier(surroundings);
  return {
    network: message => role.tracker.network(message),
    assign: () => {},
    parameters: message => role.tracker.parameters(message),
    classify: message => role.classify(message),
    look: message => role.look(message),
    weights: message => role.weights(message),
    stop: () => {},
  };
}

/** @type {{[role: string]: (surroundings: Surroundings) => Handlers}} */
const roles = {trainer, statistics, classify, tracker: classify};
const fail = (/** @type {Error} */ error) => send(boss, {type: "failed", reason: error.message});

listen(boss, {start: ({module, role}) => listen(boss, roles[role](surroundingsOf(module)), fail)}, fail);
send(boss, {type: "up"});
