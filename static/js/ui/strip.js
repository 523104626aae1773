// The status strip: the figures of a project that people look at first.
import { count, duration, loss, NONE, percent, seconds, span, wholePercent } from "./format.js";
import { Stat } from "./parts.js";
import { html } from "./preact.js";
import { text } from "./text.js";

/** @typedef {import("./types").Status} Status */

const words = text.stat;

/** @param {{status: Status, trained: number}} props `trained`: seconds */
export const Strip = ({ status, trained }) => html`
  <dl class="strip whole">
    <${Stat} id="stat-error" class="error" name=${words.error} value=${percent(status.error)} note=${text.chart.errorNote} hint=${words.errorHint} />
    <${Stat} id="stat-loss" class="loss" name=${words.loss} value=${loss(status.loss)} note=${text.chart.lossNote} hint=${words.lossHint} />
    <${Stat} id="stat-iteration" name=${words.iteration} value=${count(status.iteration)} note=${status.vectors ? words.lastVectors(status.vectors) : ""}>
      <${Countdown} status=${status} />
    <//>
    <${Stat} id="stat-power" name=${words.power} value=${count(status.power)} note=${words.all} hint=${words.powerHint} />
    <${Stat} id="stat-trainers" name=${words.trainers} value=${count(status.trainers)} note=${words.clients(status.clients)} hint=${words.trainersHint(status.clients)} />
    <${Stat} id="stat-efficiency" name=${words.efficiency} value=${status.iteration > 0 ? wholePercent(status.efficiency) : "–"} note=${words.efficiencyNote} hint=${words.efficiencyHint} />
    <${Stat} id="stat-period" name=${words.period} value=${seconds(status.period)} note=${words.periodNote} />
    <${Stat} id="stat-data" name=${words.data} value=${count(status.data_vectors)} note=${words.labels(status.labels)} />
    <${Stat} id="stat-time" name=${words.time} value=${status.project ? duration(trained) : NONE} note=${words.timeNote} hint=${words.timeHint(span(trained))} />
  </dl>
`;

/** A quiet bar that fills until the deadline; who wishes no motion sees how full it was at the last status. @param {{status: Status}} props */
function Countdown({ status }) {
  const { remaining_ms: left, iteration } = status;
  const running = status.state === "running";
  const period = status.period * 1000;
  const from = running && period > 0 ? 1 - Math.min(1, left / period) : 0;
  const bar = html`<span key=${`${iteration} ${left}`} class=${running ? "fills" : ""} style=${{ transform: `scaleX(${from})`, animationDuration: `${left}ms` }}></span>`;
  return html`<span class="countdown" aria-hidden="true">${bar}</span>`;
}
