// Reading takes as long as the text is, whatever the text: steps of a clock that other programs share can't be counted,
// so each text is read against one eight times as long, in turn, and the quickest readings are compared.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Sentences } from "../src/announcer.ts";
import { harmless, pieces } from "../src/hidden.ts";
import { plain } from "../src/markdown.ts";
import { parse } from "../src/parse.ts";
import { frames } from "../src/stream.ts";

const SHORT = 6_250;
const LONG = 50_000;
/** Eight times the text takes eight times the time; what grew by the square would take sixty-four times. */
const MOST = 24;
const ROUNDS = 12;
/** What is read so quickly is not compared: it is all noise, and a square would take a quarter of a second. */
const QUICK_MS = 100;

const UNITS = [
  "[", "]", "(", "*", "_", "~", "`", ">", "|", "\\", "<", "&", "!", "#", "- ", "> ", "1. ", "![](", "[](", "[a](b", "](", "[[a](b)", "*a", "a*", "**a ", "*a **b ", "_a", "a_ ", "~~a",
  "***a", "*_~`[", "`` `", "`a``", "\\`", "`\\", "<a", "<https://a", "https://a", "https://)", "www.", "www.a.", "h", "&#", "&amp", "&#x1", "|a\n|-\n", "|-", "-|", "a|b\n-|-\n", "```\n", "~~~\n```\n",
  "- > ", "> - ", "- a\n  ", "  - a\n", "1. a\n\n", "\t", " ", "\n", "\\\n", "* ", "a * ", "# ", "---\n", "(a)[b]", "[a](<", "[a]( \"", "][", "\u0300", "😀", "\u200B", "é", "[`](`", "*[a](b*c) ", "![[](", "]()", "(((a)",
];
const READERS: Record<string, (text: string) => unknown> = { parse, plain, harmless, pieces };

/** A text made by chance of these, the same each time. */
function mixed(units: readonly string[], length: number, seed: number): string {
  let out = "";
  for (let state = seed; out.length < length; ) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    out += units[(state >> 8) % units.length]!;
  }
  return out.slice(0, length);
}

function once(work: (text: string) => unknown, text: string): number {
  const began = performance.now();
  work(text);
  return performance.now() - began;
}

function linear(name: string, work: (text: string) => unknown, made: (length: number) => string): void {
  const [short, long] = [made(SHORT), made(LONG)];
  let [quick, slow] = [Infinity, Infinity];
  for (let round = 0; round < ROUNDS; round++) {
    quick = Math.min(quick, once(work, short));
    slow = Math.min(slow, once(work, long));
    if (slow < Math.max(QUICK_MS, quick * MOST)) return;
  }
  assert.fail(`${name}: ${quick.toFixed(1)} ms for ${SHORT} characters, ${slow.toFixed(1)} ms for ${LONG}`);
}

for (const [name, work] of Object.entries(READERS)) {
  test(`${name} takes as long as the text is, for any sign that is repeated`, () => {
    for (const unit of UNITS) linear(JSON.stringify(unit), work, (length) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length));
  });

  test(`${name} takes as long as the text is, for signs mixed by chance`, () => {
    for (let seed = 1; seed <= 12; seed++) linear(`seed ${seed}`, work, (length) => mixed(UNITS, length, seed));
    for (let seed = 1; seed <= 6; seed++) linear(`pair ${seed}`, work, (length) => mixed(UNITS.slice(seed * 7, seed * 7 + 3), length, seed));
  });
}

test("nesting takes as long as the text is", () => {
  for (const [open, close] of [["[", "](b)"], ["(", ")"], ["*a ", " *"], ["**a ", "**"], ["[a](", ")"], ["![", "](b)"], ["`", "`"]] as const) {
    const made = (length: number) => {
      const times = Math.floor(length / (open.length + close.length));
      return open.repeat(times) + close.repeat(times);
    };
    linear(`${open}…${close}`, parse, made);
  }
  linear("quotes", parse, (length) => mixed(["> ", ">> ", "> > > ", "a\n"], length, 3));
  linear("lists", parse, (length) => mixed(["- a\n", "  - a\n", "    - a\n", "\n", "      a\n"], length, 4));
  linear("fences", parse, (length) => mixed(["```\n", "````\n", "~~~\n", "a\n", "> ```\n"], length, 5));
});

test("backticks of all lengths take as long as the text is", () => {
  linear("ticks", parse, (length) => Array.from({ length: Math.floor(Math.sqrt(2 * length)) }, (_, n) => "`".repeat(n)).join(" "));
});

test("sentences are found in as long as the text is, however it comes", () => {
  const said = (text: string) => {
    const sentences = new Sentences();
    for (let end = 100; end < text.length; end += 1000) sentences.take("m", text.slice(0, end), false);
    return sentences.take("m", text, true);
  };
  for (const unit of ["One. ", ".", "! ", "a", "a ", "…\"", "?)", "\n\n", "؟", "1.5"]) linear(unit, said, (length) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length));
});

test("a feed is cut into frames in as long as it is", () => {
  linear("frames", frames, (length) => 'id: 1\ndata: {"a":1}\n\n'.repeat(length / 20));
  linear("lines", frames, (length) => "data: a\n".repeat(length / 8) + "\n");
  linear("no end", frames, (length) => "data:".repeat(length / 5));
});
