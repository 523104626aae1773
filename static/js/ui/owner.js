// What only the owner may do: start, pause, reboot, remove. What would be lost is named before it is.
import { percent } from "./format.js";
import { Icon } from "./icons.js";
import { Confirm } from "./parts.js";
import { html, useSignal } from "./preact.js";
import { text } from "./text.js";

/** @typedef {import("./types").Env} Env @typedef {import("./types").Status} Status */
/** @typedef {"start" | "pause" | "reboot" | "remove"} Action */

const words = text.owner;

/** @param {{env: Env, id: string, name: string, status: Status, onChanged: () => void, onProblem: (sentence: string) => void}} props */
export function OwnerControls({ env, id, name, status, onChanged, onProblem }) {
  const asking = useSignal(/** @type {"" | "reboot" | "remove"} */ (""));
  const busy = useSignal(false);
  const close = () => (asking.value = "");
  const act = async (/** @type {Action} */ action) => {
    busy.value = true;
    onProblem("");
    const done = action === "remove" ? env.api.remove(id) : env.api.act(id, action);
    const succeeded = () => {
      if (words.done[action]) env.said.value = words.done[action];
      if (action === "remove") env.go("/");
      else onChanged();
    };
    await done.then(succeeded, (error) => onProblem(error.message));
    busy.value = false;
    if (asking.value === action) close(); // not what was asked for meanwhile
  };
  const paused = status.state === "paused";
  const best = percent(status.error);
  return html`
    <div class="controls" role="group" aria-label=${words.controls}>
      ${paused
        ? html`<button type="button" class=${status.data_vectors ? "primary" : ""} data-testid="start" disabled=${busy.value} onClick=${() => act("start")}><${Icon} name="play" solid />${words.start}</button>`
        : html`<button type="button" data-testid="pause" disabled=${busy.value} onClick=${() => act("pause")}><${Icon} name="pause" />${words.pause}</button>`}
      <button type="button" data-testid="reboot" onClick=${() => (asking.value = "reboot")}><${Icon} name="reboot" /><span class="sr-only-narrow">${words.reboot}</span></button>
      <button type="button" class="bad-on-hover" data-testid="remove-project" onClick=${() => (asking.value = "remove")}><${Icon} name="bin" /><span class="sr-only-narrow">${words.remove}</span></button>
    </div>
    <${Confirm} open=${asking.value === "reboot"} title=${words.rebootTitle(name)} yes=${words.rebootYes} busy=${busy.value} onYes=${() => act("reboot")} onClose=${close}>
      ${words.rebootText(status.iteration, best)}
    <//>
    <${Confirm} open=${asking.value === "remove"} title=${words.removeTitle(name)} yes=${words.removeYes} busy=${busy.value} onYes=${() => act("remove")} onClose=${close}>
      ${words.removeText(status.iteration, best, status.trainers)}
    <//>
  `;
}
