import {expect} from "/vendor/chai.js";
import {unzipSync} from "/static/js/codecs.js";
import {toInput} from "/static/js/resize.js";

/** The picture that tests/test_pixels.py draws. */
function scene() {
  const [width, height] = [60, 45];
  const data = new Uint8ClampedArray(4 * width * height);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++)
    data.set([x * 4, y * 5, ((Math.floor(x / 6) + Math.floor(y / 9)) % 2) * 255, 255], 4 * (y * width + x));
  return {width, height, data};
}

/** A numpy file of bytes: its shape and values. */
function npy(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const header = new TextDecoder().decode(bytes.subarray(10, 10 + view.getUint16(8, true)));
  const shape = header.match(/'shape': \(([^)]*)\)/)[1].split(",").filter(part => part.trim()).map(Number);
  return {shape, values: bytes.subarray(10 + view.getUint16(8, true))};
}

describe("resize", () => {
  it("is within 1/255 of the pictures that training sees, for every size and mode", async () => {
    const files = unzipSync(new Uint8Array(await (await fetch("/golden/resize.npz")).arrayBuffer()));
    const names = Object.keys(files);
    expect(names.length).to.be.above(20);
    for (const name of names) {
      const [, width, height, channels, mode] = name.match(/(\d+)x(\d+)x(\d+) (\w+)/);
      const {shape, values} = npy(files[name]);
      expect(shape).to.deep.equal([Number(height), Number(width), Number(channels)]);
      const got = toInput(scene(), {width: Number(width), height: Number(height), channels: Number(channels)}, mode);
      const worst = got.reduce((most, value, i) => Math.max(most, Math.abs(value - values[i])), 0);
      expect(worst, name).to.be.at.most(1);
    }
  });

  it("lays what is transparent on white", () => {
    const picture = {width: 1, height: 1, data: Uint8Array.of(0, 0, 0, 0)};
    expect([...toInput(picture, {width: 2, height: 2, channels: 1}, "stretch")]).to.deep.equal([255, 255, 255, 255]);
  });

  it("pads with black where the picture is to lie within", () => {
    const picture = {width: 4, height: 2, data: new Uint8Array(32).fill(255)};
    const rows = [...toInput(picture, {width: 4, height: 4, channels: 1}, "fit")];
    expect(rows).to.deep.equal([0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0]);
  });
});
