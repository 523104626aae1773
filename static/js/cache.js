/* Shards kept in this browser, so that a returning volunteer downloads nothing.
 *
 * Rules of this file:
 * - Two kinds with one interface: IndexedDB, and memory where IndexedDB is refused (private windows, a full disk).
 * - A quota in bytes holds at all times; what was used longest ago goes first.
 * - Bytes are given back as they were put; whether they are the right ones is checked by who asks (shards.js).
 */

import {reasons} from "./reasons.js";

const DATABASE = "mlitb";
const VERSION = 1;
const OPEN_MS = 3000; // a blocked or broken IndexedDB answers nothing at all

/** @typedef {{hash: string, size: number, used: number}} Entry */

/**
 * @typedef {object} Cache
 * @property {"indexeddb" | "memory"} kind
 * @property {string} why it is only memory, else empty
 * @property {() => string[]} hashes of all that it holds
 * @property {(hash: string) => Promise<ArrayBuffer | null>} get
 * @property {(hash: string, bytes: ArrayBuffer) => Promise<void>} put
 * @property {(hash: string) => Promise<void>} remove
 * @property {(quota: number) => Promise<void>} limit set the quota in bytes; what no longer fits goes at once
 */

/**
 * Pick what must go so that `size` more bytes fit into the quota.
 * @param {Iterable<Entry>} entries
 * @param {number} size
 * @param {number} quota
 * @returns {string[]} hashes
 */
export function evictions(entries, size, quota) {
  const oldest = [...entries].sort((a, b) => a.used - b.used);
  let total = size + oldest.reduce((bytes, entry) => bytes + entry.size, 0);
  const gone = [];
  for (const entry of oldest) {
    if (total <= quota) break;
    total -= entry.size;
    gone.push(entry.hash);
  }
  return gone;
}

/** @implements {Cache} */
export class MemoryCache {
  /**
   * @param {number} quota bytes
   * @param {string} why IndexedDB is not used
   */
  constructor(quota, why = "") {
    this.kind = /** @type {const} */ ("memory");
    this.why = why;
    this.quota = quota;
    this.clock = 0;
    /** @type {Map<string, Entry & {bytes: ArrayBuffer}>} */
    this.entries = new Map();
  }

  hashes() {
    return [...this.entries.keys()];
  }

  /** @param {string} hash */
  async get(hash) {
    const entry = this.entries.get(hash);
    if (entry) entry.used = ++this.clock;
    return entry ? entry.bytes : null;
  }

  /**
   * @param {string} hash
   * @param {ArrayBuffer} bytes
   */
  async put(hash, bytes) {
    if (bytes.byteLength > this.quota) return;
    for (const old of evictions(this.entries.values(), bytes.byteLength, this.quota)) this.entries.delete(old);
    this.entries.set(hash, {hash, size: bytes.byteLength, used: ++this.clock, bytes});
  }

  /** @param {string} hash */
  async remove(hash) {
    this.entries.delete(hash);
  }

  /** @param {number} quota */
  async limit(quota) {
    this.quota = quota;
    for (const old of evictions(this.entries.values(), 0, quota)) this.entries.delete(old);
  }
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function asked(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/**
 * @param {IDBTransaction} transaction
 * @returns {Promise<void>}
 */
function done(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error(reasons.cache.gaveUp));
  });
}

/**
 * Two stores: `bytes` by hash, and `entries` (size, last use), so that listing reads no bytes.
 * @implements {Cache}
 */
export class DatabaseCache {
  /**
   * @param {IDBDatabase} database
   * @param {Entry[]} entries what it holds already
   * @param {number} quota bytes
   * @param {() => number} now
   */
  constructor(database, entries, quota, now) {
    this.kind = /** @type {const} */ ("indexeddb");
    this.why = "";
    this.database = database;
    this.quota = quota;
    this.now = now;
    this.entries = new Map(entries.map(entry => [entry.hash, entry]));
  }

  hashes() {
    return [...this.entries.keys()];
  }

  /** @param {string} hash */
  async get(hash) {
    const entry = this.entries.get(hash);
    if (!entry) return null;
    const transaction = this.database.transaction(["bytes", "entries"], "readwrite");
    entry.used = this.now();
    transaction.objectStore("entries").put(entry);
    const bytes = await asked(transaction.objectStore("bytes").get(hash));
    if (!bytes) this.entries.delete(hash); // another tab of this browser evicted it
    return bytes ?? null;
  }

  /**
   * @param {string} hash
   * @param {ArrayBuffer} bytes
   */
  async put(hash, bytes) {
    if (bytes.byteLength > this.quota) return;
    const transaction = this.database.transaction(["bytes", "entries"], "readwrite");
    const finished = done(transaction);
    const entry = {hash, size: bytes.byteLength, used: this.now()};
    for (const old of evictions(this.entries.values(), entry.size, this.quota)) this.erase(transaction, old);
    transaction.objectStore("bytes").put(bytes, hash);
    transaction.objectStore("entries").put(entry);
    this.entries.set(hash, entry);
    await finished.catch(error => {
      this.entries.delete(hash);
      throw error;
    });
  }

  /** @param {number} quota */
  async limit(quota) {
    this.quota = quota;
    for (const old of evictions(this.entries.values(), 0, quota)) await this.remove(old);
  }

  /** @param {string} hash */
  async remove(hash) {
    const transaction = this.database.transaction(["bytes", "entries"], "readwrite");
    const finished = done(transaction);
    this.erase(transaction, hash);
    await finished;
  }

  /**
   * @param {IDBTransaction} transaction
   * @param {string} hash
   */
  erase(transaction, hash) {
    transaction.objectStore("bytes").delete(hash);
    transaction.objectStore("entries").delete(hash);
    this.entries.delete(hash);
  }
}

/**
 * @param {IDBFactory} factory
 * @returns {Promise<IDBDatabase>}
 */
function openDatabase(factory) {
  return new Promise((resolve, reject) => {
    const request = factory.open(DATABASE, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("bytes");
      request.result.createObjectStore("entries", {keyPath: "hash"});
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error(reasons.cache.held));
    setTimeout(() => reject(new Error(reasons.cache.noAnswer)), OPEN_MS);
  });
}

/**
 * Open this browser's cache; where IndexedDB is missing or refuses, one in memory that says why.
 * @param {IDBFactory | undefined} factory
 * @param {number} quota bytes
 * @param {() => number} now
 * @returns {Promise<Cache>}
 */
export async function openCache(factory, quota, now) {
  try {
    if (!factory) throw new Error(reasons.cache.none);
    const database = await openDatabase(factory);
    database.onversionchange = () => database.close();
    const entries = await asked(database.transaction("entries").objectStore("entries").getAll());
    return new DatabaseCache(database, entries, quota, now);
  } catch (error) {
    return new MemoryCache(quota, error instanceof Error ? error.message : String(error));
  }
}
