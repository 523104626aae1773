/* Notices a connection that died without a word (a changed network, a sleeping router): nothing else tells a browser.
 *
 * It counts quiet spells instead of reading a clock, so a tab that was frozen asks first when it wakes. A spell is long
 * because a large snapshot on a slow link is silent until its last byte has come.
 */

const SPELL_MS = 20_000;
const ASK_AFTER = 2; // quiet spells: ask for something
const DEAD_AFTER = 4;

export class Pulse {
  /**
   * @param {(work: () => void, ms: number) => any} later
   * @param {() => void} ask for a message of which the master sends one back
   * @param {() => void} dead
   */
  constructor(later, ask, dead) {
    this.later = later;
    this.ask = ask;
    this.dead = dead;
    this.quiet = 0;
    /** @type {object | null} the connection that is watched over */
    this.watched = null;
  }

  /** Something arrived. */
  heard() {
    this.quiet = 0;
  }

  /** Watch over a connection that was just opened. */
  start() {
    this.quiet = 0;
    this.wait((this.watched = {}));
  }

  /** The connection is gone: there is nothing to watch over. */
  stop() {
    this.watched = null;
  }

  /** @param {object} connection */
  wait(connection) {
    this.later(() => {
      if (connection !== this.watched) return;
      this.quiet += 1;
      if (this.quiet >= DEAD_AFTER) this.dead();
      else if (this.quiet >= ASK_AFTER) this.ask();
      this.wait(connection);
    }, SPELL_MS);
  }
}
