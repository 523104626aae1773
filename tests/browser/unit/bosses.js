// A boss between a page, a master, Web Workers and a clock that are all the test's.

import {Boss} from "/static/js/boss.js";
import {decode, encode} from "/static/js/protocol.js";
import {Clock} from "/unit/made.js";

/** A connection whose other end is the test. */
export class Line {
  readyState = 0;
  bufferedAmount = 0;
  heard = [];
  send(frame) { this.heard.push(decode(frame)); }
  close() { this.readyState = 3; }
  open() { this.readyState = 1; this.onopen(); }
  drop() { this.readyState = 3; this.onclose({code: 1006, reason: ""}); }
  say(type, fields, vector = null) { this.onmessage({data: encode({type, ...fields}, vector)}); }
  of(type) { return this.heard.filter(({message}) => message.type === type).map(({message, vector}) => ({...message, vector})); }
}

/** A Web Worker whose inside is the test. */
export class Fake {
  onmessage = null;
  onerror = null;
  got = [];
  ended = false;
  postMessage(message) { this.got.push(message); }
  terminate() { this.ended = true; }
  say(message) { this.onmessage({data: message}); }
  of(type) { return this.got.filter(message => message.type === type); }
}

export const NETWORK = {project: "p", version: 1, layers: [], labels: ["a", "b"], seed: 3};
export const SHARDS = ["aa", "bb"].map(hash => ({hash, cut: "c", count: 10, bytes: 100, labels: [0, 1], offset: 0, step: 1}));
export const order = (worker, fields = {}) => ({
  worker, assignment: 1, ready: [0, 1], seed: 1, cursor: 0, micro_batch: 4, until_ms: 1000, limit: 20, ...fields,
});
export const settled = () => new Promise(resolve => setTimeout(resolve));

export function make() {
  const clock = new Clock(), lines = [], workers = [], shown = [], data = new Fake();
  const page = {postMessage: message => shown.push(message), onmessage: null};
  const boss = new Boss(page, {engine: "e".repeat(64), engine_url: "/e", data_url: "http://data.test"}, {
    open: () => lines[lines.push(new Line()) - 1],
    startWorker: () => workers[workers.push(new Fake()) - 1],
    startData: () => data,
    compile: async () => "module",
    device: "a test",
    cores: 3,
    later: clock.later,
    cancel: clock.cancel,
    random: () => 1,
    now: () => clock.now,
  });
  boss.start();
  const say = message => page.onmessage({data: message});
  const rows = () => (clock.pass(250), shown.filter(({type}) => type === "workers").at(-1).workers);
  const last = type => shown.filter(message => message.type === type).at(-1);
  return {boss, clock, lines, line: () => lines.at(-1), workers, shown, data, say, rows, last};
}

/** A boss with `n` workers that have joined, hold both shards and have the parameters of iteration 1. */
export async function working(n) {
  const made = make();
  made.line().open();
  made.line().say("Welcome", {client: 4, resume: "token", owner: false});
  for (let i = 0; i < n; i++) made.say({type: "add", project: "p", role: "trainer"});
  made.data.say({type: "cached", hashes: ["aa"], kind: "indexeddb", why: ""});
  await settled();
  made.line().say("Network", NETWORK);
  for (let worker = 1; worker <= n; worker++) {
    made.line().say("Assign", {project: "p", worker, assignment: 1, shards: SHARDS});
    for (const {hash} of SHARDS) made.workers[worker - 1].say({type: "loaded", hash});
  }
  made.clock.pass(100);
  await settled();
  made.marginMs = 100;
  made.begin = (iteration, ...orders) => {
    made.line().say("Parameters", {project: "p", iteration, version: 1}, Float32Array.of(1, 2));
    made.line().say("Orders", {project: "p", iteration, orders, margin_ms: made.marginMs});
  };
  made.result = (worker, iteration, fields = {}) => made.workers[worker - 1].say({
    type: "result", iteration, count: 8, loss: 4, wrong: 1, ms: 100, all: false, gradient: Float32Array.of(worker, 10), ...fields,
  });
  made.answers = () => made.line().of("Answer");
  return made;
}
