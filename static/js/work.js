/* Work orders: the pure function from (seed, cursor, shards) to the order of vectors.
 *
 * Rules of this file:
 * - The mirror of mlitb/core/work.py, line by line; tests/golden/work.json holds both together. Change neither alone.
 * - Only uint32 arithmetic: Math.imul, >>> and & give what numpy's uint32 gives.
 * - The permutation is counter-based: any position in O(1), nothing stored, nothing drawn.
 */

const GOLDEN = 0x9e3779b9; // 2³² / golden ratio: spreads small counters over all bits
const ROUNDS = 6;

/** @typedef {{hash: string, count: number, offset: number, step: number}} Piece */
/** @typedef {{piece: number, index: number, key: number}} Vector which piece, which image of the shard, its 32-bit key */

/**
 * Scramble a uint32 bijectively (the finaliser of MurmurHash3, Appleby).
 * @param {number} value
 */
export function mix(value) {
  value ^= value >>> 16;
  value = Math.imul(value, 0x85ebca6b);
  value ^= value >>> 13;
  value = Math.imul(value, 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

/**
 * Make one uint32 of several numbers, so that any change of any of them gives an unrelated one.
 * @param {...number} parts
 */
export function keyed(...parts) {
  let state = 0;
  for (const part of parts) state = mix((state + GOLDEN + (part % 2 ** 32)) >>> 0);
  return state;
}

/** The permutation of 0 … size-1 for one seed and one time round; `at` looks up a position. */
export class Permutation {
  /**
   * @param {number} seed
   * @param {number} turn
   * @param {number} size
   */
  constructor(seed, turn, size) {
    const bits = Math.max(1, 32 - Math.clz32(size - 1));
    this.size = size;
    this.mask = bits === 32 ? 0xffffffff : (1 << bits) - 1;
    this.shift = (bits + 1) >> 1;
    this.keys = Uint32Array.from({length: 2 * ROUNDS}, (_, i) => keyed(seed, turn, i));
  }

  /** @param {number} position */
  at(position) {
    if (this.size <= 1) return 0;
    let value = this.scramble(position);
    while (value >= this.size) value = this.scramble(value); // cycle walking keeps it a bijection
    return value;
  }

  /** @param {number} value */
  scramble(value) {
    const {keys, mask, shift} = this;
    for (let i = 0; i < keys.length; i += 2) {
      value = (Math.imul(value + keys[i], keys[i + 1] | 1) & mask) >>> 0;
      value ^= value >>> shift;
    }
    return value >>> 0;
  }
}

/** The endless stream of vectors over a list of pieces, in an order that `seed` decides. */
export class Stream {
  /**
   * @param {Piece[]} pieces
   * @param {number} seed
   */
  constructor(pieces, seed) {
    this.pieces = pieces;
    this.seed = seed;
    this.starts = [0];
    for (const {count, offset, step} of pieces) this.starts.push(this.size + members(count, offset, step));
  }

  /** Vectors once round. */
  get size() {
    return this.starts[this.starts.length - 1];
  }

  /**
   * Yield the first `count` vectors of an order with this cursor; an order never holds more than once round.
   * @param {number} cursor
   * @param {number} count
   * @returns {Generator<Vector>}
   */
  *take(cursor, count) {
    if (count > this.size) throw new RangeError(`${count} vectors of ${this.size}`);
    if (!count) return;
    const permutation = new Permutation(this.seed, Math.floor(cursor / this.size), this.size);
    const start = cursor % this.size;
    for (let j = 0; j < count; j++) yield this.vector(permutation.at((start + j) % this.size));
  }

  /**
   * Yield vectors of the stream from a cursor on, reshuffled at each time round, without an end: for local steps.
   * @param {number} cursor
   * @returns {Generator<Vector>}
   */
  *walk(cursor) {
    for (;;) {
      const here = this.size - (cursor % this.size);
      yield* this.take(cursor, here);
      cursor += here;
    }
  }

  /**
   * @param {number} number
   * @returns {Vector}
   */
  vector(number) {
    let low = 0;
    let high = this.pieces.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= number) low = middle;
      else high = middle - 1;
    }
    const {hash, offset, step} = this.pieces[low];
    const index = offset + step * (number - this.starts[low]);
    return {piece: low, index, key: vectorKey(hash, index)};
  }
}

/**
 * Count the vectors offset, offset + step, … below `count`.
 * @param {number} count
 * @param {number} offset
 * @param {number} step
 */
export function members(count, offset, step) {
  return Math.max(0, Math.floor((count - offset + step - 1) / step));
}

/**
 * A vector's 32-bit key, which keys dropout and augmentation wherever it is computed.
 * @param {string} shard
 * @param {number} index
 */
export function vectorKey(shard, index) {
  return (parseInt(shard.slice(0, 8), 16) + index) >>> 0;
}
