/* The boss's own script: fetches the configuration, checks the browser, joins the Boss to the world. */

import {Boss} from "../boss.js";
import {compile} from "../engine/wasm.js";
import {bytesToHex, sha256} from "../hash.js";
import {send} from "../port.js";
import {reasons} from "../reasons.js";
import {supervise} from "../supervise.js";

const CONFIG_RETRY_MS = 2000;
const CONFIG_PATIENCE_MS = 20_000;

/** @typedef {import("../boss.js").Config} Config */
/** @type {import("../port.js").Endpoint} */
const page = /** @type {any} */ (self);
const timers = {later: self.setTimeout.bind(self), cancel: self.clearTimeout.bind(self)};

/** @param {string} role */
function startWorker(role) {
  return supervise(() => new Worker(new URL("./worker.js", import.meta.url), {type: "module", name: `MLitB ${role}`}), timers);
}

function startData() {
  return supervise(() => new Worker(new URL("./data.js", import.meta.url), {type: "module", name: "MLitB data"}), timers);
}

/**
 * Fetch the engine, and compile it only if it is the one that this page was made for.
 * @param {Config} config
 */
async function fetchEngine(config) {
  const response = await fetch(config.engine_url);
  if (!response.ok) throw new Error(reasons.engine.answers(response.status));
  const bytes = new Uint8Array(await response.arrayBuffer());
  const hash = bytesToHex(sha256(bytes));
  if (hash !== config.engine) throw new Error(reasons.engine.other(hash, config.engine));
  return compile(bytes);
}

/** @returns {string} what people call this device */
function deviceName() {
  const agent = navigator.userAgent;
  const browser = agent.match(/(Edg|OPR|Firefox|Chrome|Version)\/(\d+)/);
  const names = /** @type {{[part: string]: string}} */ ({Edg: "Edge", OPR: "Opera", Version: "Safari"});
  const system = agent.match(/Android|iPhone|iPad|CrOS|Windows|Mac OS X|Linux/)?.[0] ?? reasons.device.unknownSystem;
  const name = browser ? `${names[browser[1]] ?? browser[1]} ${browser[2]}` : reasons.device.aBrowser;
  return reasons.device.named(name, system, navigator.hardwareConcurrency);
}

/** @returns {Promise<Config>} tried again until the server answers */
async function fetchConfig() {
  for (;;) {
    send(page, {type: "connection", state: "connecting", reason: "", retryMs: 0});
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), CONFIG_PATIENCE_MS);
    try {
      const response = await fetch("/api/config", {cache: "no-store", signal: patience.signal});
      if (response.ok) return await response.json();
      tellLost(reasons.server.answers(response.status));
    } catch (error) {
      tellLost(reasons.server.noAnswer);
    } finally {
      clearTimeout(timer);
    }
    await new Promise(resolve => setTimeout(resolve, CONFIG_RETRY_MS));
  }
}

/** @param {string} reason */
function tellLost(reason) {
  send(page, {type: "connection", state: "lost", reason, retryMs: CONFIG_RETRY_MS});
}

async function start() {
  if (typeof Worker !== "function") return send(page, {type: "connection", state: "closed", reason: reasons.device.noNested, retryMs: 0});
  /** @type {MessageEvent[]} what the page said before the configuration came */
  const early = [];
  self.onmessage = event => void early.push(event);
  const config = await fetchConfig();
  const address = new URL("/ws", self.location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const boss = new Boss(page, config, {
    open: () => new WebSocket(address),
    startWorker,
    startData,
    compile: () => fetchEngine(config),
    device: deviceName(),
    cores: navigator.hardwareConcurrency || 1,
    ...timers,
    random: Math.random,
    now: Date.now,
  });
  boss.start();
  for (const event of early) page.onmessage?.(event);
}

start();
