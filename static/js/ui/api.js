// The REST of the master and the data server, as functions. What goes wrong is a Problem: a sentence and, where known, the field.
import { sentence } from "./text.js";

/** @typedef {{status: number, body: any}} Reply */
/**
 * How requests leave the page; entry/page.js gives it.
 * @typedef {(method: string, url: string, options?: {json?: unknown, zip?: Uint8Array<ArrayBuffer>, file?: Blob, ticket?: string}) => Promise<Reply>} Request
 */

export class Problem extends Error {
  /** @param {string} sentence @param {number} status @param {string} field */
  constructor(sentence, status, field = "") {
    super(sentence);
    this.status = status;
    this.field = field;
  }
}

/** Which field a sentence of the master is about: it names settings and layers in words. @param {string} said */
function fieldOf(said) {
  const known = /** @type {[RegExp, string][]} */ ([
    [/\blayers?\b|\bconv|\bpool|\bfully|\bsoftmax|\bnetwork\b|\binput\b/i, "layers"],
    [/\bperiod\b|\bT\b/, "period"],
    [/\blearning.rate\b|\bmomentum\b|\boptimizer\b|\bl1\b|\bl2\b|\bdecay\b/i, "settings"],
    [/\bname\b/i, "name"],
  ]);
  return known.find(([pattern]) => pattern.test(said))?.[1] ?? "";
}

/** @param {Reply} reply @param {string} silence the sentence when the answer holds none */
export function problem(reply, silence) {
  const detail = reply.body?.detail;
  if (Array.isArray(detail) && detail.length) {
    const { loc = [], msg = silence } = detail[0];
    const path = loc.filter((/** @type {unknown} */ part) => part !== "body");
    return new Problem(sentence(`${path.join(" ")}: ${msg}`), reply.status, String(path[0] ?? ""));
  }
  const said = typeof detail === "string" && detail ? sentence(detail) : silence;
  return new Problem(said, reply.status, fieldOf(said));
}

/**
 * @param {Request} request
 * @param {() => Promise<typeof import("./tus.js")>} tus fetches the client of the tus protocol
 * @param {string} dataUrl
 * @param {{unreachable: string, dataUnreachable: (address: string) => string, resumable: string, answered: (status: number) => string}} words
 * @returns {import("./types").Api}
 */
export function makeApi(request, tus, dataUrl, words) {
  /** @param {string} silence @param {Parameters<Request>} call */
  const ask = async (silence, ...call) => {
    const reply = await request(...call).catch(() => {
      throw new Problem(silence, 0);
    });
    if (reply.status >= 200 && reply.status < 300) return reply.body;
    throw problem(reply, words.answered(reply.status));
  };
  /** @param {string} method @param {string} path @param {unknown} [json] */
  const master = (method, path, json) => ask(words.unreachable, method, `/api${path}`, json === undefined ? {} : { json });
  /** @param {Parameters<Request>} call */
  const store = (...call) => ask(words.dataUnreachable(dataUrl), ...call);
  /** @param {string} id */
  const at = (id) => `/projects/${encodeURIComponent(id)}`;
  const ticket = async (action = "upload") => (await master("POST", "/tickets", { action })).ticket;
  /** @param {string} id */
  const set = (id) => `${dataUrl}/datasets/${encodeURIComponent(id)}`;
  return {
    projects: () => master("GET", "/projects"),
    project: (id) => master("GET", at(id)),
    history: (id, after = -1) => master("GET", `${at(id)}/history${after < 0 ? "" : `?after=${after}`}`),
    log: (id, after) => master("GET", `${at(id)}/log?after=${after}`),
    create: (name, layers, settings) => master("POST", "/projects", { name, layers, settings }),
    demo: () => master("POST", "/demo"),
    act: (id, action) => master("POST", `${at(id)}/${action}`),
    change: (id, settings) => master("PATCH", at(id), settings),
    remove: (id) => master("DELETE", at(id)),
    attach: (id, dataset) => master("POST", `${at(id)}/data`, { dataset }),
    teach: (id, zip) => ask(words.unreachable, "POST", `/api${at(id)}/pictures`, { zip }),
    tests: (id) => master("GET", `${at(id)}/tests`),
    testOn: (id, part, dataset) => master("PUT", `${at(id)}/test`, dataset ? { part, dataset } : { part }),
    checkpoints: (id) => master("GET", `${at(id)}/checkpoints`),
    restore: (id, iteration) => master("POST", `${at(id)}/checkpoints/${iteration}/restore`),
    branch: (id, iteration, name) => master("POST", `${at(id)}/checkpoints/${iteration}/branch`, { name }),
    checkpointUrl: (id, iteration) => `/api${at(id)}/checkpoints/${iteration}.safetensors`,
    health: () => master("GET", "/health"),
    modelUrl: (id, optimizer = false) => `/api${at(id)}/model.json${optimizer ? "?optimizer=1" : ""}`,
    exportUrl: (id, form) => `/api${at(id)}/export/${form}`,
    forms: () => master("GET", "/export"),
    describe: (id, about) => master("PUT", `${at(id)}/about`, about),
    inspect: (file) => ask(words.unreachable, "POST", "/api/models/inspect", { file }),
    fromModel: (file, name, how, freeze) =>
      ask(words.unreachable, "POST", `/api/projects/from-model?${new URLSearchParams([["name", name], ["how", how], ...freeze.map((layer) => ["freeze", layer])])}`, { file }),
    transfer: (id, name, freeze) => master("POST", `${at(id)}/transfer`, { name, freeze }),
    thumbnailsUrl: (id, label, version) => `${set(id)}/thumbnails/${label}.png${version ? `?version=${version}` : ""}`,
    archiveUrl: (id) => `${set(id)}/archive.zip`,
    datasets: () => store("GET", `${dataUrl}/datasets`),
    dataset: (id) => store("GET", set(id)),
    manifest: (cut) => store("GET", `${dataUrl}/cuts/${encodeURIComponent(cut)}/manifest.json`),
    edit: async (id, changes) => store("PATCH", set(id), { json: changes, ticket: await ticket("edit") }),
    discard: async (id) => store("DELETE", set(id), { ticket: await ticket("delete") }),
    line: (id) => store("GET", `${set(id)}/line`),
    cut: async (id, size, options) => store("POST", `${set(id)}/cuts?${query({ ...size, ...options })}`, { ticket: await ticket() }),
    upload(file, size, options, hear) {
      const begun = Promise.all([tus(), import("./sending.js")]).then(
        ([{ Upload }, { Sending }]) => {
          const metadata = known({ name: file.name, ...size, ...options });
          const look = async (/** @type {string} */ method, /** @type {string} */ url) => store(method, url, { ticket: await ticket() });
          return new Sending(file, { Upload, endpoint: `${dataUrl}/uploads`, metadata, ticket, ask: look, words, hear });
        },
        () => {
          throw new Problem(words.unreachable, 0);
        },
      );
      return {
        report: begun.then((sending) => sending.report()),
        cancel: () => void begun.then((sending) => sending.cancel(), () => null), // what never began: report tells
      };
    },
  };
}

/** What is given, in words. @param {Record<string, string | number>} values @returns {Record<string, string>} */
function known(values) {
  const given = Object.entries(values).filter(([, value]) => value !== "");
  return Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
}

/** @param {Record<string, string | number>} values */
const query = (values) => new URLSearchParams(known(values)).toString();
