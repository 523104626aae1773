// The download of a model: JSON at a click, all else behind the button beside it.
import { Icon } from "./icons.js";
import { Lazily } from "./lazily.js";
import { Dialog } from "./parts.js";
import { html, useSignal } from "./preact.js";
import { text } from "./text.js";

/** @typedef {import("./types").Env} Env @typedef {import("./types").Project} Project */

const words = text.owner;
const taking = () => import("./models/take.js").then(({ TakeModel }) => TakeModel);

/** @param {{env: Env, id: string, project: Project | null, onSaved: () => void}} props */
export function Download({ env, id, project, onSaved }) {
  const open = useSignal(false);
  const status = env.live.status.value;
  const vectors = status?.project === id ? status.data_vectors : project?.status.data_vectors;
  const ready = !!project && (!!vectors || project.labels.length > 0);
  if (!ready) return html`<button type="button" disabled data-testid="no-model" title=${words.noModel}><${Icon} name="download" />${words.download}</button>`;
  const close = () => (open.value = false);
  return html`
    <div class="split" role="group" aria-label=${words.download}>
      <a class="button" href=${env.api.modelUrl(id)} download data-testid="download-model"><${Icon} name="download" />${words.download}</a>
      <button type="button" class="icon-only" aria-haspopup="dialog" aria-label=${words.forms} title=${words.forms} data-testid="model-forms" onClick=${() => (open.value = true)}>
        <${Icon} name="chevron" />
      </button>
    </div>
    <${Dialog} open=${open.value} onClose=${close} title=${words.model} class="sheet">
      <${Lazily} load=${taking} with=${{ env, project, close, onSaved }} frame="sheet-scroll" />
    <//>
  `;
}
