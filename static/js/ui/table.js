// Everybody's workers, strongest first.
import { count, milliseconds, NONE, wholePercent } from "./format.js";
import { html, useSignal } from "./preact.js";
import { sentence, text } from "./text.js";

/** @typedef {import("./types").Env} Env @typedef {import("./types").WorkerRow} WorkerRow */

const words = text.table;

/** @param {{env: Env, project: string}} props */
export function AllWorkers({ env, project }) {
  const only = useSignal("all");
  const roster = env.live.roster.value;
  const known = roster?.project === project ? roster : null;
  const me = env.live.client.value;
  const rows = (known?.rows ?? []).filter((row) => only.value === "all" || row.client === me).sort((a, b) => b.power - a.power || a.client - b.client || a.worker - b.worker);
  return html`
    <section class="panel" aria-labelledby="workers-title">
      <div class="panel-head">
        <h2 id="workers-title">${words.title}</h2>
        <fieldset class="segments small" aria-label=${words.show}>
          ${["all", "mine"].map(
            (choice) => html`<label>
              <input type="radio" name="which-workers" data-testid=${`show-${choice}`} checked=${only.value === choice} onChange=${() => (only.value = choice)} />
              <span>${choice === "all" ? words.all : words.mine}</span>
            </label>`,
          )}
        </fieldset>
      </div>
      ${rows.length ? html`<${Table} rows=${rows} me=${me} />` : html`<p class="panel-empty">${only.value === "mine" ? words.emptyMine : words.empty}</p>`}
      ${!!known?.more && only.value === "all" && html`<p class="table-foot">… ${words.more(known.more)}</p>`}
      ${rows.length > 0 && html`<p class="table-foot" data-testid="engine">${words.engine(env.config.engine.slice(0, 8))}</p>`}
    </section>
  `;
}

/** @param {{rows: WorkerRow[], me: number}} props */
const Table = ({ rows, me }) => html`
  <div class="table-scroll" tabindex="0" role="region" aria-label=${words.title}>
    <table class="workers">
      <caption class="sr-only">
        ${words.caption}
      </caption>
      <thead>
        <tr>
          <th scope="col">${words.device}</th>
          <th scope="col">${words.role}</th>
          <th scope="col">${words.state}</th>
          <th scope="col" class="number of-data" title=${words.dataHint}>${words.data}</th>
          <th scope="col" class="number" title=${text.mine.powerHint}>${words.power}<span class="unit">/s</span></th>
          <th scope="col" class="number">${words.latency}</th>
          <th scope="col" class="number">${words.budget}</th>
          <th scope="col" class="number">${words.share}</th>
        </tr>
      </thead>
      <tbody>
        ${rows.map((row) => html`<${Row} key=${`${row.client}-${row.worker}`} row=${row} mine=${row.client === me} />`)}
      </tbody>
    </table>
  </div>
`;

/** @param {{row: WorkerRow, mine: boolean}} props */
const Row = ({ row, mine }) => {
  const trains = row.role === "trainer"; // the others hold nothing of the training
  return html`
  <tr class=${mine ? "mine" : ""} data-testid="roster-row">
    <th scope="row">
      <span class="device-name">${row.device || `#${row.client}`}</span>${mine && html`<span class="tag">${words.you}</span>`}
    </th>
    <td>${text.role[row.role] ?? row.role}</td>
    <td>
      <span class=${`dot ${row.state}`} aria-hidden="true"></span>${text.worker[row.state] ?? row.state}
      ${row.advice && html`<span class="advice">${sentence(row.advice)}</span>`}
    </td>
    <td class="number" data-testid="roster-data">${trains ? [row.allocated, row.cached, row.count].map(count).join(" / ") : NONE}</td>
    <td class="number">${trains ? count(row.power) : NONE}</td>
    <td class="number">${milliseconds(row.latency_ms)}</td>
    <td class="number" data-testid="roster-budget">${trains ? milliseconds(row.budget_ms) : NONE}</td>
    <td class="number">${trains ? wholePercent(row.share) : NONE}</td>
  </tr>
  `;
};
