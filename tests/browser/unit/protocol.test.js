import {expect} from "/vendor/chai.js";
import {PROTOCOL, decode, encode} from "/static/js/protocol.js";

const bytes = hex => Uint8Array.from(hex.match(/../g), byte => parseInt(byte, 16)).buffer;
const hex = buffer => [...new Uint8Array(buffer)].map(byte => byte.toString(16).padStart(2, "0")).join("");

describe("protocol", () => {
  let golden;
  before(async () => {
    golden = await (await fetch("/golden/frames.json")).json();
  });

  it("speaks Python's version", () => {
    expect(PROTOCOL).to.equal(golden.protocol);
  });

  it("reads every message as Python wrote it", () => {
    for (const {message, vector, python} of golden.frames) {
      const read = decode(bytes(python));
      expect(read.message).to.eql(message);
      expect(read.vector && [...read.vector]).to.eql(vector && [...Float32Array.from(vector)]);
    }
  });

  it("writes every message as it always did", () => {
    for (const {message, vector, javascript} of golden.frames) {
      expect(hex(encode(message, vector && Float32Array.from(vector)))).to.equal(javascript);
    }
  });

  it("gives the vector as a view into the frame", () => {
    const frame = encode({type: "Parameters", project: "p", iteration: 1, version: 1}, Float32Array.of(1, 2, 3));
    expect(decode(frame).vector.buffer).to.equal(frame);
  });

  it("says what is wrong with a frame", () => {
    const frame = encode({type: "Watch", project: "p"});
    expect(() => decode(frame.slice(0, 8))).to.throw("at least 16 bytes");
    expect(() => decode(frame.slice(0, -8))).to.throw("the frame has");
    const other = frame.slice(0);
    new Uint8Array(other)[3] = 2;
    expect(() => decode(other)).to.throw("format");
    expect(() => decode(encode([]))).to.throw("no type");
  });
});
