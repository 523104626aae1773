// The browser's end of benchmarks/cache.py: a real boss, trainer and data worker; only the master's end of the line is here.

import {Boss} from "/static/js/boss.js";
import {compile} from "/static/js/engine/wasm.js";
import {decode, encode} from "/static/js/protocol.js";
import {supervise} from "/static/js/supervise.js";

const timers = {later: (work, ms) => setTimeout(work, ms), cancel: timer => clearTimeout(timer)};
const start = role => supervise(() => new Worker(`/static/js/entry/${role}.js`, {type: "module"}), timers);

/**
 * Let one trainer hold these shards: when the first is ready, and when all are.
 * @param {{data: string, engine: string, layers: object[], labels: string[], shards: any[]}} given
 * @returns {Promise<{first: number, all: number, held: number}>} milliseconds after the assignment; shards held before
 */
export async function load({data, engine, layers, labels, shards}) {
  const module = await compile(await (await fetch(engine)).arrayBuffer());
  const heard = [];
  const ready = new Map();
  let told = () => {};
  const line = {
    readyState: 0,
    bufferedAmount: 0,
    close() {},
    send(frame) {
      const {message} = decode(frame);
      heard.push(message);
      if (message.type === "Ready") for (const hash of message.shards) ready.set(hash, performance.now());
      told();
    },
  };
  const until = holds => new Promise(resolve => (told = () => holds() && resolve()));
  const page = {postMessage() {}, onmessage: null};
  const boss = new Boss(page, {engine: "", engine_url: engine, data_url: data}, {
    open: () => line,
    startWorker: () => start("worker"),
    startData: () => start("data"),
    compile: async () => module,
    device: "",
    cores: 4,
    ...timers,
    random: Math.random,
    now: Date.now,
  });
  boss.start();
  line.readyState = 1;
  line.onopen();
  const say = (type, fields) => line.onmessage({data: encode({type, ...fields})});
  say("Welcome", {client: 1, resume: "", owner: false});
  const joined = until(() => heard.some(({type}) => type === "Join"));
  page.onmessage({data: {type: "add", project: "p", role: "trainer"}});
  await joined;
  const complete = until(() => ready.size === shards.length);
  say("Network", {project: "p", version: 1, layers, labels, seed: 1});
  const begun = performance.now();
  say("Assign", {project: "p", worker: 1, assignment: 1, shards});
  await complete;
  const times = [...ready.values()].map(time => time - begun);
  return {first: Math.min(...times), all: Math.max(...times), held: heard.find(({type}) => type === "Holds").shards.length};
}
