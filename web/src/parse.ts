// The Markdown that models write, to a tree: blocks of inline pieces. Pure, and linear in the length of the text for any
// text: no pattern here can go back over what it has read, and nesting beyond DEPTH is left as it is written.
//
// Own, because the whole widget has 45 KB: the usual parsers take 16 to 40 of them, and parse HTML, which is never wanted.

import { harmless } from "./hidden.ts";

export type Inline =
  | string
  | { type: "strong" | "em" | "del"; inner: Inline[] }
  | { type: "code"; text: string }
  | { type: "link"; href: string; inner: Inline[] }
  | { type: "image"; href: string; text: string }
  | { type: "break" };

export type Block =
  | { type: "paragraph" | "heading"; inner: Inline[] }
  | { type: "code"; text: string }
  | { type: "quote"; inner: Block[] }
  | { type: "list"; ordered: boolean; start: number; items: Block[][] }
  | { type: "table"; rows: Inline[][][]; sides: (string | undefined)[] }
  | { type: "rule" };

const DEPTH = 8;
const LONGEST_ADDRESS = 2048;

const FENCE = /^ {0,3}(```+|~~~+)/;
const HEADING = /^ {0,3}#{1,6}(?:[ \t]|$)/;
const RULE = /^ {0,3}(?:\*[ \t]*){3,}$|^ {0,3}(?:-[ \t]*){3,}$|^ {0,3}(?:_[ \t]*){3,}$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?:[ \t]+|$)/;
const BOX = /^\[([ x])\](?=[ \t])/i;
const DIVIDER = /^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

export function parse(text: string): Block[] {
  return blocks(text.replace(/\r\n?/g, "\n").split("\n"), 0);
}

// ---- blocks

function blocks(lines: string[], depth: number): Block[] {
  const out: Block[] = [];
  let n = 0;
  while (n < lines.length) {
    if (!lines[n]!.trim()) n++;
    else n = block(lines, n, depth, out);
  }
  return out;
}

/** Reads the block that begins at line `n`; answers where the next one begins. */
function block(lines: string[], n: number, depth: number, out: Block[]): number {
  const line = lines[n]!;
  const fence = FENCE.exec(line)?.[1];
  if (fence) return code(lines, n, fence, out);
  if (HEADING.test(line)) {
    out.push({ type: "heading", inner: inline(line.trim().replace(/^#+/, "").replace(/[ \t]#+$/, "").trim(), depth) });
    return n + 1;
  }
  if (RULE.test(line)) {
    out.push({ type: "rule" });
    return n + 1;
  }
  if (depth < DEPTH && QUOTE.test(line)) return quote(lines, n, depth, out);
  if (depth < DEPTH && ITEM.test(line)) return list(lines, n, depth, out);
  if (line.includes("|") && DIVIDER.test(lines[n + 1] ?? "") && lines[n + 1]!.includes("-")) return table(lines, n, depth, out);
  return paragraph(lines, n, depth, out);
}

function code(lines: string[], n: number, fence: string, out: Block[]): number {
  const text: string[] = [];
  for (n++; n < lines.length; n++) {
    const end = FENCE.exec(lines[n]!)?.[1];
    if (end && end[0] === fence[0] && end.length >= fence.length && lines[n]!.trim() === end) break;
    text.push(lines[n]!);
  }
  out.push({ type: "code", text: text.join("\n") });
  return n + 1;
}

function quote(lines: string[], n: number, depth: number, out: Block[]): number {
  const inner: string[] = [];
  for (; n < lines.length && lines[n]!.trim(); n++) {
    if (!QUOTE.test(lines[n]!) && starts(lines[n]!)) break;
    inner.push(lines[n]!.replace(QUOTE, ""));
  }
  out.push({ type: "quote", inner: blocks(inner, depth + 1) });
  return n;
}

function list(lines: string[], n: number, depth: number, out: Block[]): number {
  const first = ITEM.exec(lines[n]!)!;
  const ordered = first[2]!.length > 1;
  const items: string[][] = [];
  let indent = 0;
  for (; n < lines.length; n++) {
    const line = lines[n]!;
    const item = ITEM.exec(line);
    if (item && item[1]!.length < Math.max(indent, 1) + first[1]!.length && item[2]!.length > 1 === ordered && !RULE.test(line)) {
      indent = item[0].length;
      items.push([line.slice(indent).replace(BOX, (_, tick: string) => (tick === " " ? "☐" : "☑\ufe0e"))]);
    } else if (!line.trim()) {
      if (!belongs(lines[n + 1], indent) && !ITEM.test(lines[n + 1] ?? "")) break;
      items.at(-1)!.push("");
    } else if (belongs(line, indent)) {
      items.at(-1)!.push(line.slice(Math.min(indent, line.length - line.trimStart().length)));
    } else if (items.at(-1)!.at(-1)!.trim() && !starts(line)) {
      items.at(-1)!.push(line.trim());
    } else break;
  }
  const start = ordered ? parseInt(first[2]!, 10) : 1;
  out.push({ type: "list", ordered, start, items: items.map((item) => blocks(item, depth + 1)) });
  return n;
}

/** Two blanks are enough for models, who often write them where four are meant. */
function belongs(line: string | undefined, indent: number): boolean {
  return line !== undefined && line.trim() !== "" && line.length - line.trimStart().length >= Math.min(indent, 2);
}

function starts(line: string): boolean {
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);
}

function table(lines: string[], n: number, depth: number, out: Block[]): number {
  const rows = [cells(lines[n]!)];
  const sides = cells(lines[n + 1]!).map((mark) => (mark.endsWith(":") ? (mark[0] === ":" ? "center" : "right") : undefined));
  for (n += 2; n < lines.length && lines[n]!.includes("|") && lines[n]!.trim(); n++) rows.push(cells(lines[n]!));
  const width = rows[0]!.length;
  const even = rows.map((row) => Array.from({ length: width }, (_, k) => inline(row[k] ?? "", depth)));
  out.push({ type: "table", rows: even, sides });
  return n;
}

function cells(line: string): string[] {
  const inner = line.trim().replace(/^\|/, "").replace(/\|$/, "");
  return inner.replaceAll("\\|", "\u0000").split("|").map((cell) => cell.trim().replaceAll("\u0000", "|"));
}

function paragraph(lines: string[], n: number, depth: number, out: Block[]): number {
  const text = [lines[n]!.trim()];
  for (n++; n < lines.length && lines[n]!.trim() && !starts(lines[n]!); n++) text.push(lines[n]!.replace(/^[ \t]+/, ""));
  out.push({ type: "paragraph", inner: inline(text.join("\n"), depth) });
  return n;
}

// ---- inline

const PLAIN = /[^\\`*_~[\]!<&\nhw]+/y;
const MARK = /\*{1,3}|_{1,3}|~~/y;
const AUTOLINK = /<((?:https?:\/\/|mailto:)[^\s<>]{1,2048})>/iy;
const ADDRESS = /(?:https?:\/\/|www\.)[^\s<>"'`|\\^{}[\]]{1,2048}/iy;
const ENTITY = /&(?:#x[0-9a-f]{1,6}|#\d{1,7}|[a-z]{2,6});/iy;
const PUNCTUATION = /[!-/:-@[-`{-~]/;
const NAMED: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };

function inline(text: string, depth: number): Inline[] {
  return depth > DEPTH ? [text] : new Reader(text, depth).read(0, text.length);
}

class Reader {
  readonly #codes: Map<number, number>;
  readonly #brackets: Map<number, number>;
  readonly #parentheses: Map<number, number>;
  /** 1 where code or a link's address stands: no mark there weighs words. */
  readonly #literal: Uint8Array;
  /** Where a mark was looked for in vain: no later beginning finds one either, up to the same end. */
  readonly #missing = new Map<string, number>();
  #depth: number;

  constructor(
    readonly text: string,
    depth: number,
  ) {
    this.#depth = depth;
    this.#codes = codes(text);
    this.#brackets = pairs(text, "[", "]", this.#codes);
    this.#parentheses = pairs(text, "(", ")", this.#codes);
    this.#literal = this.#literals();
  }

  #literals(): Uint8Array {
    const out = new Uint8Array(this.text.length);
    const closing = new Set(this.#brackets.values());
    for (let n = 0; n < out.length; n++) {
      const end = this.#codes.get(n) ?? (closing.has(n) ? this.#target(n + 1, out.length)?.end : undefined);
      if (end === undefined) continue;
      out.fill(1, n, end);
      n = end - 1;
    }
    return out;
  }

  read(at: number, end: number): Inline[] {
    const out: Inline[] = [];
    while (at < end) at = this.#piece(at, end, out);
    return out;
  }

  #piece(at: number, end: number, out: Inline[]): number {
    const plain = this.#match(PLAIN, at, end);
    if (plain) return say(out, plain, at);
    switch (this.text[at]) {
      case "\\":
        return this.#escape(at, end, out);
      case "`":
        return this.#code(at, out);
      case "*":
      case "_":
      case "~":
        return this.#emphasis(at, end, out);
      case "[":
        return this.#link(at, end, out, false);
      case "!":
        return this.text[at + 1] === "[" ? this.#link(at + 1, end, out, true) : say(out, "!", at);
      case "\n":
        return this.#newline(at, out);
      case "<":
        return this.#autolink(at, end, out);
      case "&":
        return this.#entity(at, end, out);
      default:
        return this.#address(at, end, out);
    }
  }

  #match(pattern: RegExp, at: number, end: number): string | undefined {
    pattern.lastIndex = at;
    const found = pattern.exec(this.text)?.[0];
    return found?.slice(0, end - at) || undefined;
  }

  #escape(at: number, end: number, out: Inline[]): number {
    const next = this.text[at + 1];
    if (at + 1 >= end || next === undefined) return say(out, "\\", at);
    if (next === "\n") return this.#newline(at + 1, out);
    say(out, PUNCTUATION.test(next) ? next : `\\${next}`, at);
    return at + 2;
  }

  /** One line is one line: models mean it, and customers do. */
  #newline(at: number, out: Inline[]): number {
    const last = out.at(-1);
    if (typeof last === "string") out[out.length - 1] = last.trimEnd();
    out.push({ type: "break" });
    return at + 1;
  }

  #code(at: number, out: Inline[]): number {
    let open = at;
    while (this.text[open] === "`") open++;
    const end = this.#codes.get(at);
    if (end === undefined) return say(out, this.text.slice(at, open), at);
    const inner = this.text.slice(open, end - (open - at)).replaceAll("\n", " ");
    out.push({ type: "code", text: /^ .*[^ ].* $/.test(inner) ? inner.slice(1, -1) : inner });
    return end;
  }

  #emphasis(at: number, end: number, out: Inline[]): number {
    const mark = this.#match(MARK, at, end);
    if (!mark) return say(out, this.text[at]!, at);
    const after = this.text[at + mark.length];
    const within = mark[0] === "_" && /[\p{L}\p{N}]/u.test(this.text[at - 1] ?? "");
    if (this.#depth >= DEPTH || within || after === undefined || /\s/.test(after)) return say(out, mark, at);
    const from = at + mark.length;
    const close = this.#find(mark, from + 1, end, (place) => this.#closes(mark, place));
    if (close < 0) return say(out, mark, at);
    this.#depth++;
    const inner = this.read(from, close);
    this.#depth--;
    out.push(emphasized(mark, inner));
    return close + mark.length;
  }

  #closes(mark: string, place: number): boolean {
    if (this.#literal[place]) return false;
    if (/\s/.test(this.text[place - 1]!) || this.text[place - 1] === "\\") return false;
    if (mark.length < 3 && this.text[place + mark.length] === mark[0] && this.text[place + mark.length + 1] !== mark[0]) {
      return mark.length === 2; // *a **b*** : the single one ends last
    }
    if (mark === "*" && this.text[place - 1] === "*") return this.text[place - 2] === "*";
    return mark[0] !== "_" || !/[\p{L}\p{N}]/u.test(this.text[place + mark.length] ?? "");
  }

  /** The first place of `mark` from `at` that `fits`. What was not found once is not looked for again. */
  #find(mark: string, at: number, end: number, fits: (place: number) => boolean): number {
    const missing = this.#missing.get(mark);
    if (missing !== undefined && at >= missing) return -1;
    let tries = 0;
    for (let place = this.text.indexOf(mark, at); place >= 0; place = this.text.indexOf(mark, place + 1)) {
      if (place + mark.length > end) return -1;
      if (fits(place)) return place;
      if (++tries > 60) return -1;
    }
    if (tries === 0 || end === this.text.length) this.#missing.set(mark, at);
    return -1;
  }

  #link(at: number, end: number, out: Inline[], image: boolean): number {
    const from = image ? at - 1 : at;
    const close = this.#brackets.get(at);
    const address = close !== undefined && close < end ? this.#target(close + 1, end) : undefined;
    if (close === undefined || !address || this.#depth >= DEPTH) {
      say(out, image ? "![" : "[", from);
      return at + 1;
    }
    const words = this.text.slice(at + 1, close);
    if (image) out.push({ type: "image", href: address.href, text: words });
    else {
      this.#depth++;
      out.push({ type: "link", href: address.href, inner: this.read(at + 1, close) });
      this.#depth--;
    }
    return address.end;
  }

  /** `(address "title")` behind a pair of brackets. */
  #target(at: number, end: number): { href: string; end: number } | undefined {
    const close = this.#parentheses.get(at);
    if (close === undefined || close >= Math.min(end, at + LONGEST_ADDRESS)) return undefined;
    const inner = this.text.slice(at + 1, close).trim();
    if (inner.includes("\n")) return undefined;
    return { href: inner.replace(/^<(.*)>$/, "$1").replace(/[ \t]+["'(].*$/, "").trim(), end: close + 1 };
  }

  #autolink(at: number, end: number, out: Inline[]): number {
    const found = this.#match(AUTOLINK, at, end);
    if (!found?.endsWith(">")) return say(out, "<", at);
    const href = found.slice(1, -1);
    out.push({ type: "link", href, inner: [href] });
    return at + found.length;
  }

  #address(at: number, end: number, out: Inline[]): number {
    const begins = !/[\p{L}\p{N}]/u.test(this.text[at - 1] ?? "");
    const found = begins ? this.#match(ADDRESS, at, end) : undefined;
    const words = found && trimmed(found);
    if (!words) return say(out, this.text[at]!, at);
    out.push({ type: "link", href: words.toLowerCase().startsWith("www.") ? `https://${words}` : words, inner: [words] });
    return at + words.length;
  }

  #entity(at: number, end: number, out: Inline[]): number {
    const entity = this.#match(ENTITY, at, end);
    if (!entity?.endsWith(";")) return say(out, "&", at);
    say(out, character(entity), at);
    return at + entity.length;
  }
}

function say(out: Inline[], text: string, at: number): number {
  const last = out.at(-1);
  if (typeof last === "string") out[out.length - 1] = last + text;
  else out.push(text);
  return at + text.length;
}

function emphasized(mark: string, inner: Inline[]): Inline {
  if (mark === "~~") return { type: "del", inner };
  if (mark.length === 3) return { type: "strong", inner: [{ type: "em", inner }] };
  return { type: mark.length === 2 ? "strong" : "em", inner };
}

/** For each backtick, or several, that begins code, where that code ends. */
function codes(text: string): Map<number, number> {
  const runs = [...text.matchAll(/`+/g)].map((match) => ({ at: match.index, length: match[0].length, next: -1 }));
  const later = new Map<number, number>();
  for (let n = runs.length - 1; n >= 0; n--) {
    runs[n]!.next = later.get(runs[n]!.length) ?? -1;
    later.set(runs[n]!.length, n);
  }
  const out = new Map<number, number>();
  for (let n = 0; n < runs.length; n++) {
    const { at, length, next } = runs[n]!;
    if (next < 0 || escaped(text, at)) continue;
    out.set(at, runs[next]!.at + length);
    n = next;
  }
  return out;
}

function escaped(text: string, at: number): boolean {
  let before = at;
  while (text[before - 1] === "\\") before--;
  return (at - before) % 2 === 1;
}

/** For each opening bracket, where its closing one is; those in code are no brackets. */
function pairs(text: string, opening: string, closing: string, code: Map<number, number>): Map<number, number> {
  const out = new Map<number, number>();
  const open: number[] = [];
  for (let n = 0; n < text.length; n++) {
    const character = text[n];
    if (character === "\\") n++;
    else if (code.has(n)) n = code.get(n)! - 1;
    else if (character === opening) open.push(n);
    else if (character === closing && open.length) out.set(open.pop()!, n);
  }
  return out;
}

/** An address without the full stop of its sentence. */
function trimmed(address: string): string {
  let end = address.length;
  let surplus = address.split(")").length - address.split("(").length;
  while (end > 0 && /[.,;:!?*_~)'"]/.test(address[end - 1]!)) {
    if (address[end - 1] === ")" && surplus-- <= 0) break;
    end--;
  }
  const out = address.slice(0, end);
  return /^(?:https?:\/\/[^/]|www\.[^.]+\.)/i.test(out) ? out : "";
}

function character(entity: string): string {
  const name = entity.slice(1, -1);
  if (!name.startsWith("#")) return NAMED[name.toLowerCase()] ?? entity;
  const point = /^#x/i.test(name) ? parseInt(name.slice(2), 16) : Number(name.slice(1));
  return point > 31 && point < 0x110000 && (point < 0xd800 || point > 0xdfff) ? harmless(String.fromCodePoint(point)) : entity;
}
