// Many pictures at once: a zip in, a table out, without a picture leaving the browser.
import { count, fileName } from "../format.js";
import { Icon } from "../icons.js";
import { Problem } from "../parts.js";
import { html, useEffect, useId, useRef, useSignal } from "../preact.js";
import { classifyZip } from "./many.js";
import { countsOf, tableOf } from "./table.js";
import { words } from "./text.js";

/** @typedef {import("../types").Env} Env @typedef {import("./many.js").Outcome} Outcome */

const MOST_NAMED = 20;

/** @param {{env: Env, device: import("./types").Device, network: import("./asking.js").Network, input: import("./types").Input | null, project: string}} props */
export function BatchPanel({ env, device, network, input, project }) {
  const batch = useBatch({ env, device, network, input });
  const { running, outcome, problem, name } = batch.state;
  const id = useId();
  const take = (/** @type {Event} */ event) => {
    const chooser = /** @type {HTMLInputElement} */ (event.target);
    if (chooser.files?.length) void batch.start(chooser.files[0]);
    chooser.value = "";
  };
  const save = () => outcome && env.save(`${fileName(project)}-${fileName(name)}.csv`, new Blob([tableOf(outcome.rows, outcome.labels)], { type: "text/csv" }));
  return html`
    <details class="panel folding" data-testid="batch">
      <summary><h2>${words.many}</h2><span class="summary-note">${words.manyNote}</span><${Icon} name="chevron" /></summary>
      <div class="panel-body">
        <p class="field-note">${words.manyHow}</p>
        <div class="source-actions">
          <span class="file-button">
            <input id=${id} class="sr-only" type="file" accept=".zip,application/zip" disabled=${running || !network.snapshot.value} data-testid="batch-file" aria-label=${words.chooseZip} onChange=${take} />
            <label class="button" for=${id}><${Icon} name="upload" />${words.chooseZip}</label>
          </span>
          ${running && html`<button type="button" data-testid="batch-stop" onClick=${batch.stop}>${words.stopBatch}</button>`}
          ${!running && outcome && html`<button type="button" class="primary" data-testid="batch-csv" disabled=${!outcome.rows.length} onClick=${save}><${Icon} name="download" />${words.csv}</button>`}
        </div>
        ${problem && html`<${Problem}>${problem}<//>`}
        ${running && html`<p class="field-note" role="status">${words.batchProgress(name, outcome?.done ?? 0, outcome?.total ?? 0)}</p>
          <progress data-testid="batch-progress" aria-label=${name} max=${outcome?.total ?? 1} value=${outcome?.done}></progress>`}
        ${!running && outcome && html`<${Result} outcome=${outcome} />`}
      </div>
    </details>
  `;
}

/** @param {{env: Env, device: import("./types").Device, network: import("./asking.js").Network, input: import("./types").Input | null}} around */
function useBatch({ env, device, network, input }) {
  const state = useSignal({ running: false, name: "", problem: "", outcome: /** @type {Outcome | null} */ (null) });
  const turn = useRef(0);
  useEffect(() => () => void (turn.current += 1), []);
  const set = (/** @type {Partial<typeof state.value>} */ change) => (state.value = { ...state.value, ...change });
  return {
    state: state.value,
    stop: () => void (turn.current += 1),
    /** @param {File} file */
    async start(file) {
      if (!input) return;
      const mine = ++turn.current;
      set({ running: true, name: file.name, problem: "", outcome: null });
      try {
        const outcome = await classifyZip(file, { device, network, input, on: () => turn.current === mine, tell: (outcome) => set({ outcome }) });
        set({ outcome });
        env.said.value = words.batchDone(outcome.rows.length, outcome.bad.length);
      } catch (error) {
        set({ problem: /** @type {Error} */ (error).message });
      }
      set({ running: false });
    },
  };
}

/** @param {{outcome: Outcome}} props */
const Result = ({ outcome: { rows, bad, labels, done, total } }) => html`
  <div class="batch-result" data-testid="batch-result" data-rows=${rows.length} data-bad=${bad.length}>
    <p>${words.batchDone(rows.length, bad.length)} ${done < total ? words.batchStopped(total - done) : ""}</p>
    ${rows.length > 0 &&
    html`<dl class="batch-counts">
      ${countsOf(rows, labels).map(([label, n]) => html`<div><dt>${label}</dt><dd>${count(n)}</dd></div>`)}
    </dl>`}
    ${bad.length > 0 &&
    html`<details class="skipped">
      <summary>${words.badPictures(bad.length)}</summary>
      <ul>
        ${bad.slice(0, MOST_NAMED).map(({ name, reason }) => html`<li><code>${name}</code> ${reason}</li>`)}
        ${bad.length > MOST_NAMED && html`<li>${words.moreBad(bad.length - MOST_NAMED)}</li>`}
      </ul>
    </details>`}
  </div>
`;
