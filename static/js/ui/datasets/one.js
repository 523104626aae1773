// One data set: its labels, its cuts, who uses it, what was left out.
import { Ago } from "../ago.js";
import { Icon } from "../icons.js";
import { Problem } from "../parts.js";
import { html, useEffect } from "../preact.js";
import { Gone } from "../project.js";
import { sentence, text } from "../text.js";
import { Actions } from "./actions.js";
import { useAsked, useProjectNames } from "./asked.js";
import { CutsPanel } from "./cuts.js";
import { LabelsPanel } from "./labels.js";
import { words } from "./text.js";

/** @typedef {import("../types").Env} Env @typedef {import("../types").Report} Report */

/** @param {{env: Env, id: string}} props */
export function DatasetPage({ env, id }) {
  const { found: report, problem, load } = useAsked(() => env.api.dataset(id), [id]);
  const names = useProjectNames(env);
  useEffect(() => env.title(report?.name ?? words.title), [report?.name]);
  if (!report) return problem ? html`<${Gone} sentence=${problem} again=${load} />` : html`<div class="page"><p class="quiet-line" role="status">${text.loading}</p></div>`;
  const users = report.uses.map((project) => names.get(project) ?? project);
  return html`
    <div class="page datasets">
      <p class="back"><a href="/data">${words.all}</a></p>
      <div class="page-head">
        <div class="title">
          <h1 data-testid="data-title">${report.name}</h1>
          <p class="why">${words.summary(report.images, report.labels.length, report.bytes, report.version)} <${Ago} time=${report.created} words=${words.created} /></p>
        </div>
        <div class="head-actions"><${Actions} env=${env} report=${report} users=${users} onChanged=${load} /></div>
      </div>
      ${problem && html`<${Problem}>${problem}<//>`}
      <div class="dataset-grid">
        <${LabelsPanel} env=${env} report=${report} onSaved=${load} />
        <div class="dataset-more">
          <${Uses} report=${report} names=${names} owner=${env.live.owner.value} users=${users} />
          <${CutsPanel} env=${env} report=${report} onCut=${load} />
          <${LeftOut} report=${report} />
        </div>
      </div>
    </div>
  `;
}

/** @param {{report: Report, names: Map<string, string>, owner: boolean, users: string[]}} props */
const Uses = ({ report, names, owner, users }) => html`
  <section class="panel" aria-labelledby="uses-title">
    <div class="panel-head"><h2 id="uses-title">${words.uses}</h2></div>
    ${report.uses.length
      ? html`<ul class="uses" data-testid="uses">
            ${report.uses.map((id) => html`<li><a data-testid="used-by" href=${`/project/${encodeURIComponent(id)}`}>${names.get(id) ?? id}</a></li>`)}
          </ul>
          ${owner && html`<p class="field-note" id="delete-why">${words.deleteUsed(users)}</p>`}`
      : html`<p class="quiet-line">${words.unused}</p>`}
  </section>
`;

/** What the upload held that is not in the data set, and why. @param {{report: Report}} props */
function LeftOut({ report }) {
  const { total, reasons, files } = report.skipped;
  return html`
    <section class="panel" aria-labelledby="left-title" data-testid="left-out">
      <div class="panel-head"><h2 id="left-title">${words.left}</h2></div>
      ${total ? html`<p>${words.leftTotal(total)}</p><ul class="reasons">${Object.entries(reasons).map(([reason, n]) => html`<li>${words.times(n)} ${reason}</li>`)}</ul>` : html`<p class="quiet-line">${words.leftNone}</p>`}
      ${report.duplicates > 0 && html`<p>${words.duplicatesFound(report.duplicates)}</p>`} ${report.notes.map((note) => html`<p class="field-note">${sentence(note)}</p>`)}
      ${total > 0 &&
      html`<details class="more">
        <summary><${Icon} name="chevron" />${words.leftFiles(files.length, total)}</summary>
        <ul class="left-files" tabindex="0">
          ${files.map(({ name, reason }) => html`<li><code>${name}</code> ${reason}</li>`)}
        </ul>
      </details>`}
    </section>
  `;
}
