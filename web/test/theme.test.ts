import assert from "node:assert/strict";
import { test } from "node:test";
import { apply, contrast, readable } from "../src/theme.ts";

type Rgb = [number, number, number];

test("contrast is counted as the guidelines do", () => {
  assert.equal(Math.round(contrast([0, 0, 0], [255, 255, 255]) * 10) / 10, 21);
  assert.equal(Math.round(contrast([118, 118, 118], [255, 255, 255]) * 100) / 100, 4.54);
});

test("any colour of an owner can be read on a light and on a dark ground", () => {
  for (let n = 0; n < 4096; n++) {
    const colour: Rgb = [(n >> 8) * 17, ((n >> 4) & 15) * 17, (n & 15) * 17];
    for (const ground of [[255, 255, 255], [23, 25, 31]] as Rgb[]) {
      const shown = readable(colour, ground);
      assert.ok(contrast(shown, ground) >= 4.5, `${colour} on ${ground} became ${shown}: ${contrast(shown, ground)}`);
    }
  }
});

test("a colour that can be read already stays as it is", () => {
  assert.deepEqual(readable([11, 95, 255].map((part) => part - 11) as Rgb, [255, 255, 255]), [0, 84, 244]);
});

test("words on the owner's colour can be read, and its shades on both grounds", () => {
  let state = 42;
  const chance = () => (state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff) >> 7;
  for (let n = 0; n < 200; n++) {
    const accent = `#${(chance() & 0xffffff).toString(16).padStart(6, "0")}`;
    const set = new Map<string, string>();
    const root = { style: { setProperty: (name: string, value: string) => set.set(name, value) } };
    apply({ accent, radius: "12px", font: null, side: "right", scheme: "auto" }, root as unknown as HTMLElement);
    const colour = (name: string) => read(set.get(name)!);
    assert.ok(contrast(colour("--accent"), colour("--on-accent")) >= 4.5, accent);
    assert.ok(contrast(colour("--accent-on-light"), [255, 255, 255]) >= 4.5, accent);
    assert.ok(contrast(colour("--accent-on-dark"), [23, 25, 31]) >= 4.5, accent);
  }
});

/** "rgb(1 2 3)", "#fff" */
function read(text: string): Rgb {
  if (text === "#fff") return [255, 255, 255];
  if (text === "#000") return [0, 0, 0];
  return text.match(/\d+/g)!.map(Number) as Rgb;
}
