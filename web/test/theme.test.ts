import assert from "node:assert/strict";
import { test } from "node:test";
import { contrast, readable } from "../src/theme.ts";

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
