// What is done with a whole data set: downloaded by anybody; renamed and deleted by the owner, who is told what would be lost.
import { Icon } from "../icons.js";
import { Confirm, Dialog, Field, Problem } from "../parts.js";
import { html, useSignal } from "../preact.js";
import { text } from "../text.js";
import { words } from "./text.js";

/** @typedef {import("../types").Env} Env @typedef {import("../types").Report} Report */

/** @param {{env: Env, report: Report, users: string[], onChanged: () => Promise<void>}} props */
export function Actions({ env, report, users, onChanged }) {
  const asking = useSignal(/** @type {"" | "rename" | "delete"} */ (""));
  const close = () => (asking.value = "");
  const owner = env.live.owner.value;
  return html`
    <a class="button" href=${env.api.archiveUrl(report.id)} download=${`${report.id}.zip`} data-testid="download-data"><${Icon} name="download" />${words.download}</a>
    ${owner &&
    html`<button type="button" data-testid="rename-data" onClick=${() => (asking.value = "rename")}>${words.rename}</button>
      <button type="button" class="bad-on-hover" data-testid="delete-data" disabled=${users.length > 0} aria-describedby=${users.length ? "delete-why" : undefined} onClick=${() => (asking.value = "delete")}>
        <${Icon} name="bin" />${words.delete}
      </button>
      <${RenameDialog} env=${env} report=${report} open=${asking.value === "rename"} onClose=${close} onChanged=${onChanged} />
      <${DeleteDialog} env=${env} report=${report} open=${asking.value === "delete"} onClose=${close} onChanged=${onChanged} />`}
  `;
}

/** @typedef {{env: Env, report: Report, open: boolean, onClose: () => void, onChanged: () => Promise<void>}} Asking */

/** @param {Asking} props */
function RenameDialog({ env, report, open, onClose, onChanged }) {
  const typed = useSignal(/** @type {string | null} */ (null));
  const problem = useSignal("");
  const close = () => {
    typed.value = null;
    problem.value = "";
    onClose();
  };
  const save = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const name = (typed.value ?? report.name).trim();
    if (!name) return void (problem.value = words.nameMissing);
    await env.api.edit(report.id, { name }).then(
      async () => {
        await onChanged();
        env.said.value = words.renamed(name);
        close();
      },
      (error) => (problem.value = error.message),
    );
  };
  return html`<${Dialog} open=${open} onClose=${close} title=${words.renameTitle(report.name)} class="confirm">
    <form onSubmit=${save} noValidate>
      <${Field}
        label=${words.nameLabel}
        problem=${problem.value}
        control=${(/** @type {object} */ tied) =>
          html`<input ...${tied} type="text" data-testid="data-name" maxlength="100" autocomplete="off" autofocus value=${typed.value ?? report.name} onInput=${(/** @type {any} */ event) => (typed.value = event.target.value)} />`}
      />
      <div class="dialog-foot">
        <button type="button" class="plain" data-testid="cancel" onClick=${close}>${text.cancel}</button>
        <button type="submit" class="primary" data-testid="save-name">${words.save}</button>
      </div>
    </form>
  <//>`;
}

/** @param {Asking} props */
function DeleteDialog({ env, report, open, onClose, onChanged }) {
  const busy = useSignal(false);
  const problem = useSignal("");
  const remove = async () => {
    busy.value = true;
    await env.api.discard(report.id).then(
      () => {
        env.said.value = words.deleted(report.name);
        env.go("/data");
      },
      (error) => {
        problem.value = error.message;
        void onChanged();
      },
    );
    busy.value = false;
  };
  const close = () => {
    problem.value = "";
    onClose();
  };
  return html`<${Confirm} open=${open} title=${words.deleteTitle(report.name)} yes=${words.deleteYes} busy=${busy.value} problem=${problem.value} onYes=${remove} onClose=${close}>
    ${words.deleteText(report.images, report.labels.length, report.bytes, report.cuts.length)}
  <//>`;
}
