// Numbers, sizes and times as people read them. Pure; every figure keeps its unit.
// Narrow no-break spaces stand between a figure and its unit, so that a line never breaks there.

const NARROW = "\u202f";
export const NONE = "–";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** @param {number} n */
export const count = (n) => (Number.isFinite(n) ? whole.format(n) : NONE);

/** A share 0…1 as per cent; two digits that matter. @param {number} share */
export function percent(share) {
  if (!(share >= 0)) return NONE;
  const value = share * 100;
  return `${value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2)}${NARROW}%`;
}

/** A share 0…1 as whole per cent. @param {number} share */
export const wholePercent = (share) => (share >= 0 ? `${Math.round(share * 100)}${NARROW}%` : NONE);

/** A mean cross-entropy; negative means "none yet". @param {number} value */
export const loss = (value) => (value >= 0 ? value.toFixed(value >= 10 ? 2 : value >= 1 ? 3 : 4) : NONE);

/** @param {number} seconds */
export const seconds = (seconds) => `${Number(seconds.toFixed(2))}${NARROW}s`;

/** @param {number} ms */
export const milliseconds = (ms) => (ms >= 9950 ? seconds(ms / 1000) : `${count(ms)}${NARROW}ms`);

/** @param {number} n */
export function bytes(n) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let power = 0;
  while (n >= 999.5 && power < units.length - 1) {
    n /= 1000;
    power += 1;
  }
  return `${n.toFixed(power && n < 99.5 ? 1 : 0)}${NARROW}${units[power]}`;
}

/** Floating-point operations. @param {number} n */
export function flop(n) {
  if (n >= 999.5e6) return `${(n / 1e9).toFixed(1)}${NARROW}GFLOP`;
  return n >= 99_950 ? `${(n / 1e6).toFixed(n < 9.995e6 ? 2 : 1)}${NARROW}MFLOP` : `${(n / 1e3).toFixed(n < 9995 ? 1 : 0)}${NARROW}kFLOP`;
}

const clock = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });

/** @param {number} s seconds since 1970 */
export const moment = (s) => clock.format(s * 1000);

/** A span of time as one number, short enough for a figure. @param {number} s in seconds */
export function duration(s) {
  if (s < 100) return `${Math.floor(s)}${NARROW}s`;
  if (s < 6000) return `${(s / 60).toFixed(1)}${NARROW}min`;
  return s < 360_000 ? `${(s / 3600).toFixed(1)}${NARROW}h` : `${(s / 86_400).toFixed(1)}${NARROW}d`;
}

/** A span of time in its two largest units. @param {number} s in seconds */
export function span(s) {
  const parts = /** @type {[number, string][]} */ ([
    [Math.floor(s / 86400), "d"],
    [Math.floor(s / 3600) % 24, "h"],
    [Math.floor(s / 60) % 60, "min"],
    [Math.floor(s) % 60, "s"],
  ]);
  const first = parts.findIndex(([n]) => n > 0);
  if (first < 0) return `0${NARROW}s`;
  return parts
    .slice(first, first + 2)
    .filter(([n]) => n > 0)
    .map(([n, unit]) => `${n}${NARROW}${unit}`)
    .join(" ");
}

/** How long ago, in its largest unit; empty below ten seconds. @param {number} s in seconds */
export const agoSpan = (s) => (s < 10 ? "" : s < 60 ? `${Math.floor(s / 10)}0${NARROW}s` : span(s).split(" ")[0]);

/** @param {number} n @param {string} one @param {string} many */
export const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;

/** A file name from what people typed. @param {string} text */
export const fileName = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "model";
