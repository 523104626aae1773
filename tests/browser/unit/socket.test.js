import {expect} from "/vendor/chai.js";
import {Socket} from "/static/js/socket.js";
import {Clock} from "/unit/made.js";

class Line {
  readyState = 0;
  bufferedAmount = 0;
  sent = [];
  send(frame) { this.sent.push(frame); }
  close() { this.readyState = 3; }
  open() { this.readyState = 1; this.onopen(); }
  drop(code = 1006, reason = "") { this.readyState = 3; this.onclose({code, reason}); }
}

function make(random = () => 1) {
  const clock = new Clock(), lines = [], states = [], frames = [];
  let opened = 0;
  const socket = new Socket(
    {open: () => lines[lines.push(new Line()) - 1], later: clock.later, cancel: clock.cancel, random},
    {onOpen: () => opened++, onFrame: frame => frames.push(frame), onState: (state, reason, ms) => states.push({state, reason, ms})},
  );
  socket.start();
  return {clock, lines, states, frames, socket, opened: () => opened};
}

describe("socket", () => {
  it("comes back after waits that double, up to a bound, and start anew once settled", () => {
    const {clock, lines, states, socket} = make();
    const waits = [];
    for (let i = 0; i < 8; i++) {
      lines.at(-1).drop();
      waits.push(states.at(-1).ms);
      clock.pass(waits.at(-1));
    }
    expect(waits).to.deep.equal([500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
    lines.at(-1).open();
    socket.settle();
    lines.at(-1).drop();
    expect(states.at(-1)).to.deep.include({state: "lost", ms: 500});
  });

  it("spreads the waits by chance between half and all", () => {
    const {lines, states} = make(() => 0);
    lines[0].drop();
    expect(states.at(-1).ms).to.equal(250);
  });

  it("says the reason of the close, or the master's words before it, and waits as the master wishes", () => {
    const {lines, states, clock, socket} = make(() => 0);
    lines[0].drop(1009, "a frame of 50 MB");
    expect(states.at(-1).reason).to.equal("a frame of 50 MB");
    clock.pass(1000);
    socket.expectClose("the server restarts", 3000);
    lines[1].drop(1001, "");
    expect(states.at(-1)).to.deep.equal({state: "lost", reason: "the server restarts", ms: 3000});
  });

  it("gives a connection up on which the master says nothing, and leaves one alone on which it spoke", () => {
    const {lines, states, clock, socket} = make();
    lines[0].open();
    clock.pass(20_000);
    expect(lines[0].readyState).to.equal(3);
    expect(states.at(-1)).to.deep.include({state: "lost", reason: "the server does not answer"});
    clock.pass(500);
    lines[1].open();
    socket.settle();
    clock.pass(100_000);
    expect([lines.length, lines[1].readyState]).to.deep.equal([2, 1]);
  });

  it("stays away when the master says never", () => {
    const {lines, states, clock, socket} = make();
    socket.expectClose("banned", -1);
    lines[0].drop();
    clock.pass(1e6);
    expect(states.at(-1)).to.deep.equal({state: "closed", reason: "banned", ms: 0});
    expect(lines.length).to.equal(1);
  });

  it("hears nothing of a connection that it gave up", () => {
    const {lines, states, clock, socket, frames} = make();
    const first = lines[0];
    first.open();
    socket.restart("silence");
    clock.pass(1000);
    first.onmessage({data: new ArrayBuffer(1)});
    first.drop();
    expect(frames).to.deep.equal([]);
    expect(states.filter(({state}) => state === "lost").length).to.equal(1);
    expect(lines.length).to.equal(2);
  });

  it("restarts on text, which does not belong", () => {
    const {lines, states} = make();
    lines[0].open();
    lines[0].onmessage({data: "hello"});
    expect(states.at(-1).reason).to.match(/text/);
    expect(lines[0].readyState).to.equal(3);
  });

  it("counts what has left of what it was given, anew on every connection", () => {
    const {lines, clock, socket} = make();
    lines[0].open();
    expect([socket.given, socket.left]).to.deep.equal([0, 0]);
    socket.send(new ArrayBuffer(8));
    socket.send(new ArrayBuffer(100));
    lines[0].bufferedAmount = 30;
    expect([socket.given, socket.left]).to.deep.equal([108, 78]);
    lines[0].drop();
    clock.pass(500);
    lines[1].open();
    expect([socket.given, socket.left]).to.deep.equal([0, 0]);
  });

  it("sends only when open, and cuts a link that takes nothing", () => {
    const {lines, states, socket} = make();
    expect(socket.send(new ArrayBuffer(8))).to.equal(false);
    lines[0].open();
    expect(socket.send(new ArrayBuffer(8))).to.equal(true);
    lines[0].bufferedAmount = 127 * 2 ** 20; // two answers of the largest network
    expect(socket.send(new ArrayBuffer(8))).to.equal(true);
    lines[0].bufferedAmount = 128 * 2 ** 20;
    expect(socket.send(new ArrayBuffer(8))).to.equal(false);
    expect(states.at(-1).state).to.equal("lost");
  });
});
