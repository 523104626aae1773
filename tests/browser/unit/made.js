// Makes what tests need: shards as the data server makes them, conditions to wait for, pairs of endpoints.

import {encodePng, zipSync} from "/vendor/make.js";
import {bytesToHex, sha256} from "/static/js/hash.js";

export const digest = bytes => bytesToHex(sha256(bytes));

/** A shard of `count` grey pictures; picture i of value (i + seed) has label i mod `labels`. */
export function makeShard({count = 20, width = 8, height = 8, channels = 1, labels = 2, seed = 0, change = {}} = {}) {
  const size = width * height * channels;
  const named = Array.from({length: count}, (_, i) => i % labels);
  const manifest = {cut: "c1", width, height, channels, labels: named, ...change.manifest};
  const files = {"manifest.json": new TextEncoder().encode(JSON.stringify(manifest))};
  for (let i = 0; i < count; i++) {
    const data = Uint8Array.from({length: size}, (_, pixel) => (i * 31 + seed * 7 + pixel * ((i % labels) + 1)) % 256);
    files[`${String(i).padStart(4, "0")}.png`] = encodePng({width, height, channels, data, depth: 8});
  }
  const bytes = zipSync({...files, ...change.files});
  return {bytes, hash: digest(bytes), count, labels: named, size};
}

/** Wait until `holds()` is true; the test's own time limit ends a wait in vain. */
export async function until(holds) {
  while (!holds()) await new Promise(resolve => setTimeout(resolve, 1));
}

/** Timers that only a test moves. */
export class Clock {
  now = 0;
  timers = [];
  later = (work, ms) => {
    const timer = {work, at: this.now + ms};
    this.timers.push(timer);
    return timer;
  };
  cancel = timer => {
    this.timers = this.timers.filter(other => other !== timer);
  };

  /** Let time pass: due timers run in their order. */
  pass(ms) {
    const end = this.now + ms;
    for (;;) {
      const due = this.timers.filter(timer => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.cancel(due);
      this.now = Math.max(this.now, due.at); // a test may have let the device sleep
      due.work();
    }
    this.now = end;
  }
}
