// The log of a project: what happened lately, newest first, by level. Fetched when it is first opened; then each status
// that arrives is the sign that there may be more, so a project that rests is not asked.
import { Ago } from "./ago.js";
import { Problem } from "./parts.js";
import { html, useEffect, useRef, useSignal } from "./preact.js";
import { text } from "./text.js";

/** @typedef {import("./types").Env} Env @typedef {import("./types").LogEntry} LogEntry */

const words = text.log;
const SHOWN = 200; // rows; the server keeps 500
const SAVED_MS = 1500; // a checkpoint is written a moment after the status that it belongs to
/** What is shown at each choice, the mildest first. @type {Record<string, string[]>} */
const CHOICES = { all: ["debug", "info", "warning", "error"], info: ["info", "warning", "error"], warning: ["warning", "error"], error: ["error"] };

/** The entries with what was read put in, by id: one that counted up comes again. @param {LogEntry[]} entries @param {LogEntry[]} read */
export function joined(entries, read) {
  const known = new Map([...entries, ...read].map((entry) => [entry.id, entry]));
  return [...known.values()].sort((a, b) => a.serial - b.serial);
}

/** @param {Env} env @param {string} id */
function useLog(env, id) {
  const entries = useSignal(/** @type {LogEntry[]} */ ([]));
  const problem = useSignal("");
  const asking = useRef(false);
  const status = env.live.status.value;
  const ask = () => {
    if (asking.current) return;
    asking.current = true;
    const newest = entries.value.length ? entries.value[entries.value.length - 1].serial : 0;
    env.api.log(id, newest).then(
      (read) => {
        if (read.length) entries.value = joined(entries.value, read);
        problem.value = "";
      },
      (error) => (problem.value = error.message),
    ).finally(() => (asking.current = false));
  };
  useEffect(() => {
    ask();
    const timer = setTimeout(ask, SAVED_MS);
    return () => clearTimeout(timer);
  }, [id, status]);
  return { entries: entries.value, problem: problem.value };
}

/** @param {{env: Env, id: string}} props */
export function Log({ env, id }) {
  const { entries, problem } = useLog(env, id);
  const level = useSignal("info");
  const shown = entries.filter((entry) => CHOICES[level.value].includes(entry.level));
  return html`
    <div class="panel-body log">
      <div class="log-head">
        <p class="quiet-line">${words.lead}</p>
        <fieldset class="segments small" aria-label=${words.show}>
          ${Object.keys(CHOICES).map(
            (choice) => html`<label>
              <input type="radio" name="log-level" data-testid=${`log-${choice}`} checked=${level.value === choice} onChange=${() => (level.value = choice)} />
              <span>${words.levels[choice]}</span>
            </label>`,
          )}
        </fieldset>
      </div>
      ${problem && html`<${Problem}>${problem}<//>`}
      ${shown.length ? html`<${Rows} entries=${shown} />` : html`<p class="panel-empty">${entries.length ? words.noneOf : words.none}</p>`}
    </div>
  `;
}

/** @param {{entries: LogEntry[]}} props */
const Rows = ({ entries }) => html`
  <div class="log-rows" tabindex="0" role="log" aria-label=${words.title}><ol>
    ${entries
      .slice(-SHOWN)
      .reverse()
      .map(
        (entry) => html`<li key=${entry.id} class=${`log-row ${entry.level}`} data-testid="log-row" data-level=${entry.level}>
          <span class="log-level">${words.level[entry.level]}</span>
          <span class="log-text">${entry.text}${entry.times > 1 && html`<span class="tag">${words.times(entry.times)}</span>`}</span>
          <${Ago} time=${entry.time} />
        </li>`,
      )}
  </ol></div>
`;
