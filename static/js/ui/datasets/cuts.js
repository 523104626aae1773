// The cuts of a data set: what networks get of it; and another one, of another size.
import { count } from "../format.js";
import { Icon } from "../icons.js";
import { Field, Problem } from "../parts.js";
import { html, useEffect, useSignal } from "../preact.js";
import { SizeInputs } from "../size.js";
import { text } from "../text.js";
import { useAsked } from "./asked.js";
import { words } from "./text.js";

/** @typedef {import("../types").Env} Env @typedef {import("../types").Report} Report @typedef {import("../types").Cut} Cut */
/** @typedef {{width: number, height: number, channels: number, mode: string, validation: string, duplicates: string}} Wish */

const MOST_SIDE = 512; // the data server's
const LOOK_MS = 1000; // how often a cut that waits asks for its place
/** @type {Wish} */
export const FIRST = { width: 32, height: 32, channels: 3, mode: "crop", validation: "", duplicates: "keep" };

/** @param {Wish} wish */
export function sizeProblem({ width, height }) {
  const good = [width, height].every((side) => Number.isInteger(side) && side >= 1 && side <= MOST_SIDE);
  return good ? "" : words.sizeWrong(MOST_SIDE);
}

/** What a cut is to be. @param {{wish: Wish, set: (wish: Wish) => void, problem: string}} props */
export const CutFields = ({ wish, set, problem }) => html`
  <div class="cut-fields">
    <div>
      <${SizeInputs} size=${wish} most=${MOST_SIDE} live change=${(/** @type {Partial<Wish>} */ part) => set({ ...wish, ...part })} />
      ${problem && html`<p class="field-note bad" role="alert">${problem}</p>`}
    </div>
    <${Choice} label=${words.mode} name="mode" choices=${text.data.modes} wish=${wish} set=${set} />
    <${Choice} label=${words.validation} hint=${words.validationHint} name="validation" choices=${words.shares} wish=${wish} set=${set} />
    <${Choice} label=${words.duplicates} name="duplicates" choices=${words.duplicateChoices} wish=${wish} set=${set} />
  </div>
`;

/** @param {{label: string, hint?: string, name: "mode" | "validation" | "duplicates", choices: Record<string, string>, wish: Wish, set: (wish: Wish) => void}} props */
const Choice = ({ label, hint, name, choices, wish, set }) => html`
  <${Field}
    label=${label}
    hint=${hint}
    control=${(/** @type {object} */ tied) => html`<select ...${tied} data-testid=${`cut-${name}`} value=${wish[name]} onChange=${(/** @type {any} */ event) => set({ ...wish, [name]: event.target.value })}>
      ${Object.entries(choices).map(([value, shown]) => html`<option value=${value}>${shown}</option>`)}
    </select>`}
  />
`;

/** @param {{env: Env, report: Report, onCut: () => Promise<void>}} props */
export function CutsPanel({ env, report, onCut }) {
  return html`
    <section class="panel" aria-labelledby="cuts-title">
      <div class="panel-head"><h2 id="cuts-title">${words.cuts}</h2></div>
      <p class="quiet-line">${words.cutsLead}</p>
      <div class="table-scroll" tabindex="0" role="region" aria-label=${words.cuts}>
        <table>
          <thead>
            <tr>
              <th scope="col">${words.cut.size}</th>
              <th scope="col">${words.cut.mode}</th>
              <th scope="col" class="number">${words.cut.train}</th>
              <th scope="col" class="number">${words.cut.held}</th>
              <th scope="col" class="number">${words.cut.mean}</th>
              <th scope="col" class="number">${words.cut.std}</th>
              <th scope="col" class="number">${words.cut.seed}</th>
            </tr>
          </thead>
          <tbody>
            ${report.cuts.map((cut) => html`<${Row} key=${cut.id} env=${env} cut=${cut} />`)}
          </tbody>
        </table>
      </div>
      <p class="field-note">${words.pixelNote}</p>
      ${env.live.owner.value && html`<${CutAgain} env=${env} report=${report} onCut=${onCut} />`}
    </section>
  `;
}

/** @param {number[]} values */
const shares = (values) => values.map((value) => value.toFixed(3)).join(" ");

/** @param {{env: Env, cut: Cut}} props */
function Row({ env, cut }) {
  const { found } = useAsked(() => env.api.manifest(cut.id), [cut.id]);
  return html`<tr data-testid="cut-row">
    <th scope="row">${words.sizeOf(cut)}</th>
    <td>${words.modes[cut.mode]}</td>
    <td class="number">${count(cut.vectors)}</td>
    <td class="number">${count(found ? found.validation.vectors + found.test.vectors : NaN)}</td>
    <td class="number">${found ? shares(found.mean) : "\u00a0"}</td>
    <td class="number">${found ? shares(found.std) : "\u00a0"}</td>
    <td class="number">${count(cut.seed)}</td>
  </tr>`;
}

/** How many others are done before a cut that was asked for. @param {Env} env @param {string} id @param {boolean} busy */
function useAhead(env, id, busy) {
  const ahead = useSignal(0);
  useEffect(() => {
    if (!busy) return;
    ahead.value = 0;
    const ask = () => void env.api.line(id).then((told) => (ahead.value = told.ahead), () => null); // the cut itself tells what is wrong
    const timer = setInterval(ask, LOOK_MS);
    return () => clearInterval(timer);
  }, [busy]);
  return ahead.value;
}

/** @param {{env: Env, report: Report, onCut: () => Promise<void>}} props */
function CutAgain({ env, report, onCut }) {
  const wish = useSignal(FIRST);
  const busy = useSignal(false);
  const outcome = useSignal({ good: "", bad: "", size: "" });
  const ahead = useAhead(env, report.id, busy.value);
  const cut = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const { width, height, channels, ...options } = wish.value;
    outcome.value = { good: "", bad: "", size: sizeProblem(wish.value) };
    if (outcome.value.size) return;
    busy.value = true;
    await env.api.cut(report.id, { width, height, channels }, options).then(
      async ({ cuts }) => {
        await onCut();
        outcome.value = { good: cuts.length === report.cuts.length ? words.cutKnown : words.cutDone(wish.value), bad: "", size: "" };
      },
      (error) => (outcome.value = { good: "", bad: error.message, size: "" }),
    );
    busy.value = false;
  };
  return html`
    <details class="more">
      <summary><${Icon} name="chevron" />${words.again}<span class="summary-note">${words.againNote}</span></summary>
      <form onSubmit=${cut} noValidate>
        <${CutFields} wish=${wish.value} set=${(/** @type {Wish} */ next) => (wish.value = next)} problem=${outcome.value.size} />
        ${outcome.value.bad && html`<${Problem}>${outcome.value.bad}<//>`}
        <div class="panel-foot">
          <span class="good-line" role="status">${busy.value ? (ahead ? words.waiting(ahead) : words.cutting) : outcome.value.good}</span>
          <button type="submit" data-testid="cut-again" disabled=${busy.value}>${words.doCut}</button>
        </div>
      </form>
    </details>
  `;
}
