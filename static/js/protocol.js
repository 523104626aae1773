/* Messages to frames and back, pure: the mirror of mlitb/core/messages.py and mlitb/wire.py.
 *
 * Rules of this file:
 * - A frame is 16 bytes of header, a JSON head padded with spaces, a raw float32 vector; all little-endian.
 * - What every message holds is said once, in the typedefs; tests/golden/frames.json holds them and Python together.
 * - A decoded vector is a view into the frame, not a copy.
 */

export const PROTOCOL = 1;

const MAGIC = 0x01424c4d; // "MLB" and the format's version, as a little-endian uint32
const HEADER = 16;
const ALIGNMENT = 8;
const SPACE = 0x20;

/* From a client */
/** @typedef {"trainer" | "tracker" | "statistics" | "classify"} Role */
/** @typedef {"start" | "pause" | "reboot" | "set" | "remove"} Action */
/** @typedef {"waiting" | "joining" | "ready" | "working" | "saturated" | "paused" | "silent" | "failed"} WorkerState */
/** @typedef {{type: "Hello", protocol: number, engine: string, resume?: string, device?: string}} Hello */
/** @typedef {{type: "Watch", project: string, table: boolean}} Watch */
/** @typedef {{type: "Join", project: string, worker: number, role?: Role, capacity_vectors?: number, capacity_bytes?: number, intensity?: number}} Join */
/** @typedef {{type: "Tune", worker: number, capacity_vectors?: number, capacity_bytes?: number, intensity?: number, paused?: boolean}} Tune */
/** @typedef {{type: "Leave", worker: number}} Leave */
/** @typedef {{type: "Holds", shards: string[]}} Holds */
/** @typedef {{type: "Ready", worker: number, assignment: number, shards: string[]}} Ready */
/** @typedef {{worker: number, count: number, loss: number, wrong: number, ms: number}} Result */
/** @typedef {{type: "Answer", project: string, iteration: number, results: Result[]}} Answer */
/** @typedef {{type: "Report", worker: number, assignment: number, iteration: number, version: number, count: number, wrong: number, loss: number, labels?: [number, number, number][]}} Report */
/** @typedef {{type: "Failed", worker: number, reason: string}} Failed */
/** @typedef {{type: "Control", project: string, action: Action, settings?: Object<string, any>}} Control */
/** @typedef {Hello | Watch | Join | Tune | Leave | Holds | Ready | Answer | Report | Failed | Control} FromClient */

/* To a client */
/** @typedef {{type: "Welcome", client: number, resume: string, owner: boolean}} Welcome */
/** @typedef {{type: "Reload", reason: string}} Reload */
/** @typedef {{type: "Refused", status: number, reason: string, about: string, worker: number}} Refused */
/** @typedef {{type: "Network", project: string, version: number, layers: Object<string, any>[], labels: string[], seed: number}} Network */
/** @typedef {{hash: string, cut: string, count: number, bytes: number, labels: number[], offset: number, step: number}} Shard */
/** @typedef {{type: "Assign", project: string, worker: number, assignment: number, shards: Shard[]}} Assign */
/** @typedef {{worker: number, assignment: number, ready: number[], seed: number, cursor: number, micro_batch: number, until_ms: number, limit: number, local_rate: number, local_momentum: number}} Order */
/** @typedef {{type: "Orders", project: string, iteration: number, orders: Order[], margin_ms: number}} Orders */
/** @typedef {{type: "Parameters", project: string, iteration: number, version: number}} Parameters */
/** @typedef {{type: "Status", project: string, state: "idle" | "running" | "reducing" | "paused", why: string, iteration: number, period: number, error: number, loss: number, vectors: number, power: number, trainers: number, clients: number, efficiency: number, data_vectors: number, labels: number, remaining_ms: number, test_vectors: number, test_iteration: number, test_error: number, test_loss: number}} Status */
/** @typedef {{client: number, worker: number, device: string, role: Role, state: WorkerState, advice: string, allocated: number, cached: number, count: number, power: number, latency_ms: number, budget_ms: number, share: number}} WorkerRow */
/** @typedef {{type: "Roster", project: string, rows: WorkerRow[], more: number}} Roster */
/** @typedef {{type: "Removed", project: string}} Removed */
/** @typedef {{type: "Bye", reason: string, retry_ms: number}} Bye */
/** @typedef {Welcome | Reload | Refused | Network | Assign | Orders | Parameters | Status | Roster | Removed | Bye} ToClient */

/**
 * Make a frame; only Answer and Parameters travel with a vector.
 * @param {any} message a FromClient (or, in tests, a ToClient)
 * @param {Float32Array | null} [vector]
 * @returns {ArrayBuffer}
 */
export function encode(message, vector = null) {
  const head = new TextEncoder().encode(JSON.stringify(message));
  const length = Math.ceil(head.length / ALIGNMENT) * ALIGNMENT;
  const values = vector ? vector.length : 0;
  const frame = new ArrayBuffer(HEADER + length + 4 * values);
  const view = new DataView(frame);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, length, true);
  view.setUint32(8, values, true);
  const room = new Uint8Array(frame, HEADER, length);
  room.fill(SPACE);
  room.set(head);
  if (vector) new Float32Array(frame, HEADER + length, values).set(vector);
  return frame;
}

/**
 * Read a frame; throws an Error that says what is wrong with it.
 * @param {ArrayBuffer} frame
 * @returns {{message: any, vector: Float32Array | null}}
 */
export function decode(frame) {
  const {length, values} = measure(frame);
  const text = new TextDecoder("utf-8", {fatal: true}).decode(new Uint8Array(frame, HEADER, length));
  const message = JSON.parse(text);
  if (typeof message?.type !== "string") throw new Error("the head has no type");
  return {message, vector: values ? new Float32Array(frame, HEADER + length, values) : null};
}

/**
 * Check the header against the frame.
 * @param {ArrayBuffer} frame
 */
function measure(frame) {
  if (frame.byteLength < HEADER) throw new Error(`a frame has at least ${HEADER} bytes, this one ${frame.byteLength}`);
  const view = new DataView(frame);
  const [magic, length, values, zero] = [0, 4, 8, 12].map(place => view.getUint32(place, true));
  if (magic !== MAGIC) throw new Error("this frame is of a format that is not known here");
  if (length % ALIGNMENT || zero) throw new Error(`the header is wrong: head of ${length} bytes, last word ${zero}`);
  const told = HEADER + length + 4 * values;
  if (told !== frame.byteLength) throw new Error(`the header tells of ${told} bytes, the frame has ${frame.byteLength}`);
  return {length, values};
}
