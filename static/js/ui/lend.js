// Lending more than one worker at a click, or another kind: the role, and for trainers how many.
import { Icon } from "./icons.js";
import { html, useId, useSignal } from "./preact.js";
import { text } from "./text.js";

/** @typedef {import("./types").Env} Env */

const words = text.mine;
const MOST = 256; // workers of one browser in one project: the server's bound
const ROLES = ["trainer", "statistics", "classify"];

/** One core stays with the person; a device with one lends that. @param {Env} env */
export const usualTrainers = (env) => Math.max(1, env.cores - 1);

/** @param {{env: Env, project: string, add: (n: number) => void}} props `add` starts trainers */
export function LendMore({ env, project, add }) {
  const role = useSignal("trainer");
  const typed = useSignal(String(usualTrainers(env)));
  const [roleId, numberId] = [useId(), useId()];
  const n = Math.round(Number(typed.value));
  const possible = role.value !== "trainer" || (n >= 1 && n <= MOST);
  const value = (/** @type {Event} */ event) => /** @type {HTMLInputElement} */ (event.target).value;
  const lend = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!possible) return;
    if (role.value === "classify") env.go(`/project/${encodeURIComponent(project)}/classify`);
    else if (role.value === "statistics") env.live.say({ type: "add", project, role: "statistics" });
    else add(n);
  };
  return html`
    <details class="lend-more" data-testid="lend-more">
      <summary><${Icon} name="chevron" />${words.more}</summary>
      <form onSubmit=${lend} noValidate>
        <label for=${roleId}>${words.role}</label>
        <select id=${roleId} data-testid="lend-role" value=${role.value} onChange=${(/** @type {Event} */ event) => (role.value = value(event))}>
          ${ROLES.map((known) => html`<option value=${known}>${text.role[known]}</option>`)}
        </select>
        ${role.value === "trainer" &&
        html`<label for=${numberId}>${words.number}</label>
          <input id=${numberId} type="number" min="1" max=${MOST} inputmode="numeric" data-testid="lend-number" value=${typed.value} aria-invalid=${possible ? undefined : "true"} onInput=${(/** @type {Event} */ event) => (typed.value = value(event))} />`}
        <button type="submit" data-testid="lend" disabled=${!possible}>${role.value === "classify" ? words.open : words.addThem}</button>
        <p class="field-note" role="status">${possible ? words.roleHint[role.value] : words.numberWrong(MOST)}</p>
      </form>
    </details>
  `;
}
