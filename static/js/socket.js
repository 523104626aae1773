/* The one connection of a browser to the master, which comes back by itself.
 *
 * Rules of this file:
 * - It knows nothing of messages: binary frames go out and come in, text is an error.
 * - Waits grow and carry jitter, so that a thousand browsers do not come back in the same moment.
 * - What does not leave the device is bounded: a link that takes nothing is cut and opened anew.
 * - The WebSocket, timers and chance come from outside (entry/boss.js, tests).
 */

import {reasons} from "./reasons.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const ANSWER_MS = 20_000; // for the master's first word on a new connection
const BACKLOG_BYTES = 128 * 1024 * 1024; // more than two answers of the largest network: a slow link is no dead one

/** @typedef {"connecting" | "open" | "lost" | "reload" | "closed"} State */
/**
 * @typedef {object} Surroundings
 * @property {() => WebSocket} open makes a connection
 * @property {(work: () => void, ms: number) => any} later
 * @property {(timer: any) => void} cancel
 * @property {() => number} random in [0, 1)
 */
/**
 * @typedef {object} Listener
 * @property {() => void} onOpen the connection stands: say who you are
 * @property {(frame: ArrayBuffer) => void} onFrame
 * @property {(state: State, reason: string, retryMs: number) => void} onState
 */

export class Socket {
  /**
   * @param {Surroundings} surroundings
   * @param {Listener} listener
   */
  constructor(surroundings, listener) {
    this.surroundings = surroundings;
    this.listener = listener;
    /** @type {WebSocket | null} */
    this.socket = null;
    this.given = 0; // bytes, to this connection
    this.failures = 0;
    /** @type {{reason: string, retryMs: number} | null} what the master said before it closed */
    this.bye = null;
    this.timer = null;
    this.patience = null; // runs from the beginning of a connection to the master's first word
    this.ended = false;
  }

  /** Connect, and again after every loss until `end`. */
  start() {
    this.listener.onState("connecting", "", 0);
    this.bye = null;
    this.given = 0;
    const socket = (this.socket = this.surroundings.open());
    this.patience = this.surroundings.later(() => this.restart(reasons.server.noAnswer), ANSWER_MS);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.listener.onOpen();
    socket.onmessage = ({data}) => this.receive(socket, data);
    socket.onclose = ({code, reason}) => this.closed(socket, reason || reasons.server.closes[code] || "");
  }

  /**
   * @param {WebSocket} socket
   * @param {unknown} data
   */
  receive(socket, data) {
    if (socket !== this.socket) return;
    if (data instanceof ArrayBuffer) this.listener.onFrame(data);
    else this.restart(reasons.server.text);
  }

  /** The other side answered: the next loss starts with a short wait again. */
  settle() {
    this.failures = 0;
    this.surroundings.cancel(this.patience);
    this.listener.onState("open", "", 0);
  }

  /**
   * Send a frame; false when there is no open connection (after a reconnection the state is told anew).
   * @param {ArrayBuffer} frame
   */
  send(frame) {
    if (this.socket?.readyState !== 1) return false;
    if (this.socket.bufferedAmount + frame.byteLength > BACKLOG_BYTES) {
      this.restart(reasons.server.fullLink);
      return false;
    }
    this.socket.send(frame);
    this.given += frame.byteLength;
    return true;
  }

  /** How many of the given bytes have left the device. */
  get left() {
    return this.given - (this.socket?.bufferedAmount ?? 0);
  }

  /**
   * The master is about to close and says why and when to come back (negative: never).
   * @param {string} reason
   * @param {number} retryMs
   */
  expectClose(reason, retryMs) {
    this.bye = {reason, retryMs};
  }

  /**
   * Give this connection up and open another after the usual wait.
   * @param {string} reason
   */
  restart(reason) {
    const socket = this.socket;
    if (!socket) return;
    this.closed(socket, reason);
    socket.close();
  }

  /**
   * @param {WebSocket} socket
   * @param {string} reason
   */
  closed(socket, reason) {
    if (socket !== this.socket) return; // an earlier one: given up already
    this.socket = null;
    this.surroundings.cancel(this.patience);
    if (this.ended) return;
    if (this.bye && this.bye.retryMs < 0) return this.end("closed", this.bye.reason);
    const wait = this.bye ? this.bye.retryMs * (1 + this.surroundings.random()) : this.backoff();
    this.failures += 1;
    this.listener.onState("lost", this.bye?.reason || reason || reasons.server.lost, wait);
    this.timer = this.surroundings.later(() => this.start(), wait);
  }

  /** @returns {number} milliseconds: half to all of a wait that doubles with each failure in a row */
  backoff() {
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.failures);
    return Math.round(longest * (0.5 + 0.5 * this.surroundings.random()));
  }

  /**
   * Close for good.
   * @param {"closed" | "reload"} state
   * @param {string} reason
   */
  end(state, reason) {
    this.ended = true;
    this.surroundings.cancel(this.timer);
    this.surroundings.cancel(this.patience);
    this.socket?.close();
    this.socket = null;
    this.listener.onState(state, reason, 0);
  }
}
