// How long ago something was, in words, with the exact time on hover. All of them tick together, slowly: a page that rests stays right.
import { agoSpan, moment } from "./format.js";
import { html, signal, useEffect } from "./preact.js";
import { text } from "./text.js";

const TICK_MS = 10_000; // as fine as the words are
const now = signal(0); // in seconds
let shown = 0;
/** @type {ReturnType<typeof setInterval> | undefined} */
let timer;

/** Keep the clock going while anybody shows a time. */
function useClock() {
  useEffect(() => {
    if (!shown++) timer = setInterval(() => (now.value = Date.now() / 1000), TICK_MS);
    return () => void (--shown || clearInterval(timer));
  }, []);
  return Math.max(now.value, Date.now() / 1000);
}

/** @param {{time: number, words?: (ago: string) => string}} props `time` in seconds since 1970; `words`: the sentence around it */
export function Ago({ time, words = (ago) => ago }) {
  const passed = agoSpan(useClock() - time);
  return html`<time class="ago" datetime=${new Date(time * 1000).toISOString()} title=${moment(time)}>${words(passed ? text.ago(passed) : text.justNow)}</time>`;
}
