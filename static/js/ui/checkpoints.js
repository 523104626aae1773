// The kept checkpoints of a project: go back to one, branch a new project from it, download it; and the word that saving fails.
import { Ago } from "./ago.js";
import { bytes, count, loss, percent } from "./format.js";
import { Icon } from "./icons.js";
import { Confirm, Dialog, Field, Problem } from "./parts.js";
import { html, useEffect, useSignal } from "./preact.js";
import { sentence, text } from "./text.js";

/** @typedef {import("./types").Env} Env @typedef {import("./types").Checkpoint} Checkpoint */

const words = text.checkpoints;
const LOOK_MS = 15_000; // how often the page asks whether saving works

/** @param {{env: Env, id: string, name: string, onRestored: () => void}} props */
export function CheckpointsPanel({ env, id, name, onRestored }) {
  const rows = useSignal(/** @type {Checkpoint[] | null} */ (null));
  const problem = useSignal("");
  const chosen = useSignal(/** @type {{row: Checkpoint, what: "restore" | "branch"} | null} */ (null));
  const failed = (/** @type {Error} */ error) => (problem.value = error.message);
  const load = () => env.api.checkpoints(id).then((found) => ((rows.value = found), (problem.value = "")), failed);
  const close = () => (chosen.value = null);
  const opened = (/** @type {Event} */ event) => /** @type {HTMLDetailsElement} */ (event.currentTarget).open && void load();
  const restore = (/** @type {Checkpoint} */ row) =>
    env.api.restore(id, row.iteration).then(() => ((env.said.value = words.restored(row.iteration)), onRestored(), load()), failed).then(close);
  const branch = (/** @type {Checkpoint} */ row, /** @type {string} */ called) =>
    env.api.branch(id, row.iteration, called).then((made) => env.go(`/project/${made.id}`), failed).then(close);
  const { row, what } = chosen.value ?? {};
  return html`
    <details class="panel folding" data-testid="checkpoints" onToggle=${opened}>
      <summary><h2>${words.title}</h2><${Icon} name="chevron" /></summary>
      <div class="panel-body">
        <p class="quiet-line">${words.lead}</p>
        ${problem.value && html`<${Problem}>${sentence(problem.value)}<//>`}
        ${rows.value && (rows.value.length ? html`<${Rows} env=${env} id=${id} rows=${rows.value} choose=${(/** @type {any} */ one) => (chosen.value = one)} />` : html`<p>${words.none}</p>`)}
      </div>
    </details>
    <${Confirm} open=${what === "restore"} title=${row ? words.restoreTitle(row.iteration) : ""} yes=${words.restore} onYes=${() => row && restore(row)} onClose=${close}>${words.restoreText}<//>
    <${Dialog} open=${what === "branch"} title=${row ? words.branchTitle(row.iteration) : ""} onClose=${close}>
      ${row && html`<${Name} suggested=${words.branchName(name, row.iteration)} done=${(/** @type {string} */ called) => branch(row, called)} />`}
    <//>
  `;
}

/** @param {{env: Env, id: string, rows: Checkpoint[], choose: (one: {row: Checkpoint, what: "restore" | "branch"}) => void}} props */
const Rows = ({ env, id, rows, choose }) => html`
  <div class="table-scroll" tabindex="0" role="region" aria-label=${words.title}>
    <table>
      <thead>
        <tr><th scope="col">${words.iteration}</th><th scope="col">${words.saved}</th><th scope="col">${words.testError}</th><th scope="col">${text.stat.loss}</th><th scope="col">${words.size}</th><th scope="col">${words.actions}</th></tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) => html`<tr key=${row.iteration} class="centred" data-testid="checkpoint-row">
            <td>${count(row.iteration)} ${row.best && html`<span class="tag">${words.best}</span>`}</td>
            <td><${Ago} time=${row.saved} /></td>
            <td>${percent(row.test_error ?? -1)}</td>
            <td>${loss(row.loss ?? -1)}</td>
            <td>${bytes(row.bytes)}</td>
            <td><div class="row">
              <button type="button" class="small" data-testid="restore" onClick=${() => choose({ row, what: "restore" })}>${words.restore}</button>
              <button type="button" class="small" data-testid="branch" onClick=${() => choose({ row, what: "branch" })}>${words.branch}</button>
              <a class="button small" download data-testid="checkpoint-file" href=${env.api.checkpointUrl(id, row.iteration)}>${words.download}</a>
            </div></td>
          </tr>`,
        )}
      </tbody>
    </table>
  </div>
`;

/** @param {{suggested: string, done: (name: string) => void}} props */
function Name({ suggested, done }) {
  const name = useSignal(suggested);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (name.value.trim()) done(name.value.trim());
  };
  const typed = (/** @type {Event} */ event) => (name.value = /** @type {HTMLInputElement} */ (event.target).value);
  return html`
    <form onSubmit=${submit}>
      <${Field} label=${words.nameLabel} control=${(/** @type {object} */ tied) => html`<input ...${tied} data-testid="branch-name" maxlength="100" value=${name.value} onInput=${typed} />`} />
      <div class="dialog-foot"><button type="submit" class="primary" data-testid="confirm-branch">${words.branch}</button></div>
    </form>
  `;
}

/** Says that saving fails, and what to do, as long as it does. @param {{env: Env}} props */
export function SavingTrouble({ env }) {
  const trouble = useSignal("");
  useEffect(() => {
    const look = () => env.visible() && env.api.health().then((found) => (trouble.value = found.trouble), () => (trouble.value = ""));
    look();
    const timer = setInterval(look, LOOK_MS);
    return () => clearInterval(timer);
  }, []);
  return trouble.value ? html`<${Problem}>${sentence(trouble.value)}<//>` : null;
}
