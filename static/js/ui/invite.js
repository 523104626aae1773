// The link with which others lend their devices.
import { Icon } from "./icons.js";
import { html, useRef, useSignal } from "./preact.js";
import { text } from "./text.js";

const words = text.invite;

/** @param {{env: import("./types").Env, id: string}} props */
export function Invite({ env, id }) {
  const outcome = useSignal("");
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const copy = async () => {
    const done = await env.copy(`${env.origin}/join/${encodeURIComponent(id)}`);
    outcome.value = done ? words.copied : words.manual;
    if (!done) field.current?.select();
  };
  return html`
    <section class="panel" aria-labelledby="invite-title">
      <div class="panel-head"><h2 id="invite-title">${words.title}</h2></div>
      <p class="panel-lead">${words.lead}</p>
      <div class="invite-row">
        <input ref=${field} type="text" readonly aria-label=${words.link} data-testid="invite-link" value=${`${env.origin}/join/${encodeURIComponent(id)}`} onFocus=${() => field.current?.select()} />
        <button type="button" data-testid="copy-link" onClick=${copy}><${Icon} name="link" />${words.copy}</button>
      </div>
      <p class="invite-note" role="status">${outcome.value}</p>
    </section>
  `;
}
