// Characters that a reader does not see, or takes for others.

// Directions, fillers, invisible joiners, tags, private use. ZWJ and ZWNJ are needed by emoji and by several scripts.
const INVISIBLE =
  /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F\u3164\uFE00-\uFE0E\uFEFF\uFFA0\uFFF0-\uFFFC\uE000-\uF8FF]|\uDB40[\uDC00-\uDFFF]|\uD82F[\uDCA0-\uDCA3]|\uD834[\uDD73-\uDD7A]|[\uDB80-\uDBFF][\uDC00-\uDFFF]/g;
// Between these, a joiner is how the word or the emoji is written; anywhere else it hides.
const JOINED =
  "[\\p{Extended_Pictographic}\\p{Emoji_Modifier}\\uFE0F\\p{Script=Arabic}\\p{Script=Syriac}\\p{Script=Devanagari}\\p{Script=Bengali}\\p{Script=Gurmukhi}\\p{Script=Gujarati}\\p{Script=Tamil}\\p{Script=Telugu}\\p{Script=Kannada}\\p{Script=Malayalam}\\p{Script=Sinhala}]";
const JOINERS = new RegExp(`(?<!${JOINED})[\u200C\u200D]|[\u200C\u200D](?!${JOINED})`, "gu");
const BLANKS = /[\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u2800\u3000]/g;
const WORD = /[\p{L}\p{M}\p{N}]+/gu;
/** Latin text never needs a letter of these, and some of them look the same. */
const OTHER_SCRIPT = /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}\uFF01-\uFF5E\u{1D400}-\u{1D7FF}]/u;
const LATIN = /[A-Za-z]/;
const ASCII_DIGIT = /[0-9]/;
const FULLWIDTH_OR_MATH = /[\uFF01-\uFF5E\u{1D400}-\u{1D7FF}]/u;

/** For reading: without what could turn, hide or fake the text around it. */
export function harmless(text: string): string {
  return text.replace(INVISIBLE, "");
}

export interface Piece {
  text: string;
  /** What was there in truth, such as "U+202E"; or "" for a look-alike. */
  marked?: string;
}

/** For deciding: the text in pieces, what is hidden or looks like something else marked. */
export function pieces(text: string): Piece[] {
  const marks = [...spots(text)].sort((a, b) => a.at - b.at);
  const out: Piece[] = [];
  let end = 0;
  for (const mark of marks) {
    if (mark.at < end) continue;
    if (mark.at > end) out.push({ text: text.slice(end, mark.at) });
    out.push({ text: mark.shown, marked: mark.name });
    end = mark.at + mark.length;
  }
  if (end < text.length) out.push({ text: text.slice(end) });
  return out;
}

export function deceives(text: string): boolean {
  return !spots(text).next().done;
}

interface Spot {
  at: number;
  length: number;
  shown: string;
  name: string;
}

function* spots(text: string): Generator<Spot> {
  for (const pattern of [INVISIBLE, JOINERS, BLANKS]) {
    for (const match of text.matchAll(pattern)) {
      const name = code(match[0]);
      yield { at: match.index, length: match[0].length, shown: `[${name}]`, name };
    }
  }
  for (const match of text.matchAll(WORD)) {
    if (mixed(match[0])) yield { at: match.index, length: match[0].length, shown: match[0], name: "≈" };
  }
}

function mixed(word: string): boolean {
  if (FULLWIDTH_OR_MATH.test(word)) return true;
  return (LATIN.test(word) || ASCII_DIGIT.test(word)) && OTHER_SCRIPT.test(word);
}

function code(character: string): string {
  return `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;
}
