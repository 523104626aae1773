// A zip's way to the data server: sent by the tus protocol, then read there until its report is made. Loaded when an upload begins.
// - What was sent stays sent: after a break the server is asked where to go on, and so it is when the same file is chosen again later.
// - Only what another try can mend is tried again: no answer, or a server that has not yet noticed the break. All else is its sentence.
// - Cancelling leaves nothing on the server. An upload that the server has not yet named is cancelled as soon as it is.
import { Problem, problem } from "./api.js";

/** @typedef {import("./types").Report} Report @typedef {import("./types").Told} Told @typedef {import("tus-js-client").DetailedError} DetailedError */
/**
 * @typedef {object} Way
 * @property {typeof import("tus-js-client").Upload} Upload
 * @property {string} endpoint
 * @property {Record<string, string>} metadata what the file is to become
 * @property {() => Promise<string>} ticket
 * @property {(method: string, url: string) => Promise<any>} ask throws a Problem
 * @property {{dataUnreachable: (address: string) => string, resumable: string, answered: (status: number) => string}} words
 * @property {(told: Told) => void} hear
 */

const RETRY_MS = [1000, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]; // a minute; progress begins it anew
const LOOK_MS = { first: 100, most: 2000, growth: 1.4 };

/** Whether another try may go better: nobody answered, or the server still holds the broken request. @param {DetailedError} error */
function mends(error) {
  if (error.causingError instanceof Problem && error.causingError.status) return false;
  const status = error.originalResponse?.getStatus() ?? 0;
  return status === 0 || status === 409 || status === 423;
}

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Sending {
  /** @param {File} file @param {Way} way */
  constructor(file, way) {
    this.way = way;
    this.cancelled = false;
    /** @type {Promise<null>} */
    this.ended = new Promise((resolve, reject) => {
      this.end = () => resolve(null);
      this.endBadly = reject;
    });
    this.sent = new Promise((resolve, reject) => {
      this.upload = this.prepare(file, resolve, reject);
    });
  }

  /** @param {File} file @param {(sent: any) => void} resolve @param {(error: Error) => void} reject */
  prepare(file, resolve, reject) {
    const { Upload, endpoint, metadata, ticket } = this.way;
    const identity = ["mlitb", file.size, file.lastModified, endpoint, JSON.stringify(metadata)].join(" ");
    return new Upload(file, {
      endpoint,
      metadata,
      fingerprint: async () => identity, // another cut of the same file is another upload
      removeFingerprintOnSuccess: false, // forget() does, when the report is there
      retryDelays: RETRY_MS,
      // A ticket lasts for an hour, an upload may last longer.
      onBeforeRequest: async (request) => request.setHeader("Authorization", `Bearer ${await ticket()}`),
      onShouldRetry: (error) => this.retries(error),
      onUploadUrlAvailable: () => this.cancelled && this.terminate(),
      onProgress: (sent, total) => this.tell({ stage: "sending", share: sent / total }),
      onSuccess: resolve,
      onError: (error) => (this.cancelled ? this.end() : reject(this.sentence(error))),
    });
  }

  /** @param {Told} told what no longer counts once it is cancelled */
  tell(told) {
    if (!this.cancelled) this.way.hear(told);
  }

  /** @param {DetailedError} error */
  retries(error) {
    const again = mends(error);
    if (again) this.tell({ stage: "waiting" });
    return again;
  }

  /** Send and wait for the report; null where it was cancelled. Throws a Problem. @returns {Promise<Report | null>} */
  async report() {
    const [previous] = await this.upload.findPreviousUploads();
    if (previous) this.upload.resumeFromPreviousUpload(previous);
    this.upload.start();
    return Promise.race([this.sent.then(() => this.read()), this.ended]);
  }

  /** Look how far the server is with reading until it has finished. @returns {Promise<Report | null>} */
  async read() {
    const { ask, words } = this.way;
    for (let ms = LOOK_MS.first, silent = 0; !this.cancelled; ms = Math.min(ms * LOOK_MS.growth, LOOK_MS.most)) {
      const told = await ask("GET", this.upload.url ?? "").catch((/** @type {Problem} */ error) => {
        if (this.cancelled) return { state: "cancelled" };
        if (error.status || silent++ === RETRY_MS.length) throw error;
        return { state: "silent" };
      });
      if (told.state === "ready" || told.state === "failed") await this.forget();
      if (told.state === "ready") return told.report;
      if (told.state === "failed") throw problem({ status: told.status, body: told }, words.answered(told.status));
      if (told.state === "reading") this.tell({ stage: "reading", share: told.entries ? told.read / told.entries : 0, ahead: told.ahead });
      await pause(told.state === "silent" ? LOOK_MS.most : ms);
    }
    return this.ended;
  }

  /** Let the same file begin anew the next time. */
  async forget() {
    for (const { urlStorageKey } of await this.upload.findPreviousUploads()) await this.upload.options.urlStorage?.removeUpload(urlStorageKey);
  }

  /** Stop, and remove from the server what is there. */
  cancel() {
    if (this.cancelled) return;
    this.cancelled = true;
    this.way.hear({ stage: "cancelling" });
    if (this.upload.url) this.terminate();
  }

  terminate() {
    const gone = this.upload.abort(true).catch((/** @type {DetailedError} */ error) => {
      if (error.originalResponse?.getStatus() !== 404) throw this.sentence(error);
    });
    void gone.then(() => this.forget()).then(this.end, this.endBadly);
  }

  /** @param {Error | DetailedError} error */
  sentence(error) {
    const { words } = this.way;
    if (!("originalResponse" in error)) return error;
    if (error.causingError instanceof Problem && error.causingError.status) return error.causingError;
    const response = error.originalResponse;
    if (!response?.getStatus()) return new Problem(`${words.dataUnreachable(new URL(this.way.endpoint).origin)} ${words.resumable}`, 0);
    return problem({ status: response.getStatus(), body: parse(response.getBody()) }, words.answered(response.getStatus()));
  }
}

/** @param {string} answer */
function parse(answer) {
  try {
    return JSON.parse(answer);
  } catch {
    return null; // not JSON: the status speaks for itself
  }
}
