// Markdown to templates, through an allow-list: text, structure, and links that say where they go. Nothing is parsed as
// HTML, nothing loads, nothing acts by itself. One renderer for every place where a model's or a customer's words stand.

import { html, nothing, type TemplateResult } from "lit";
import { Lexer, type Token, type Tokens } from "marked";
import { harmless } from "./hidden.ts";

/** Deeper nesting, which only an attack has, stays text. */
const DEPTH = 12;
/** More than any answer; the rest is shown as it is written. */
const LONGEST = 100_000;
const SCHEMES = new Set(["http:", "https:", "mailto:", "tel:"]);
const NAMED: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", hellip: "…" };

type Part = TemplateResult | string | typeof nothing;

export interface Words {
  copy: string;
  image: string;
  opensOutside: string;
}

export function markdown(text: string, words: Words): Part[] {
  const clean = harmless(text);
  const tokens = lexed(clean.slice(0, LONGEST));
  return [...blocks(tokens, words, 0), clean.length > LONGEST ? clean.slice(LONGEST) : nothing];
}

/** What a reader hears: the words alone. */
export function plain(text: string): string {
  return spoken(lexed(harmless(text).slice(0, LONGEST))).replace(/\s+/g, " ").trim();
}

/** Where a link goes, if it may: its address, and the host to be shown. */
export function target(href: string): { href: string; shown: string } | undefined {
  let url: URL;
  try {
    url = new URL(href);
  } catch {
    return undefined; // relative ones lead to the server of the chat, and no answer means that
  }
  if (!SCHEMES.has(url.protocol) || url.username || url.password) return undefined;
  return { href: url.href, shown: url.host || url.pathname };
}

/** Nesting that would take the lexer long is no Markdown anybody wrote. */
function lexed(text: string): Token[] {
  if (/^(?:[ \t]*(?:>|[-*+]|\d{1,9}[.)])){13,}/m.test(text)) return [{ type: "text", raw: text, text } as Token];
  try {
    return new Lexer({ gfm: true }).lex(text);
  } catch {
    return [{ type: "text", raw: text, text } as Token];
  }
}

function blocks(tokens: readonly Token[], words: Words, depth: number): Part[] {
  if (depth > DEPTH) return tokens.map((token) => token.raw);
  return tokens.map((token) => block(token, words, depth));
}

function block(token: Token, words: Words, depth: number): Part {
  const t = token as Tokens.Generic;
  switch (token.type) {
    case "space":
    case "def":
      return nothing;
    case "hr":
      return html`<hr />`;
    case "heading":
      return html`<p class="heading">${inline(t.tokens ?? [], words, depth)}</p>`;
    case "paragraph":
      return html`<p>${inline(t.tokens ?? [], words, depth)}</p>`;
    case "code":
      return code(t.text as string, words);
    case "blockquote":
      return html`<blockquote>${blocks(t.tokens ?? [], words, depth + 1)}</blockquote>`;
    case "list":
      return list(token as Tokens.List, words, depth);
    case "table":
      return table(token as Tokens.Table, words, depth);
    case "text":
      return html`<span>${t.tokens ? inline(t.tokens, words, depth) : unescaped(t.text as string)}</span>`;
    default:
      return html`<p>${token.raw}</p>`; // HTML, and what a later version of the parser may bring
  }
}

function code(text: string, words: Words): Part {
  const copy = () => void navigator.clipboard?.writeText(text);
  return html`<div class="code">
    <button class="quiet small" type="button" @click=${copy}>${words.copy}</button>
    <pre tabindex="0"><code>${text}</code></pre>
  </div>`;
}

function list(token: Tokens.List, words: Words, depth: number): Part {
  const items = token.items.map(
    (item) => html`<li>${item.task ? (item.checked ? "☑ " : "☐ ") : nothing}${blocks(item.tokens, words, depth + 1)}</li>`,
  );
  return token.ordered ? html`<ol start=${Number(token.start) || 1}>${items}</ol>` : html`<ul>${items}</ul>`;
}

function table(token: Tokens.Table, words: Words, depth: number): Part {
  const cells = (row: Tokens.TableCell[]) => row.map((cell) => html`<td>${inline(cell.tokens, words, depth)}</td>`);
  return html`<div class="table" tabindex="0">
    <table>
      <thead><tr>${token.header.map((cell) => html`<th scope="col">${inline(cell.tokens, words, depth)}</th>`)}</tr></thead>
      <tbody>${token.rows.map((row) => html`<tr>${cells(row)}</tr>`)}</tbody>
    </table>
  </div>`;
}

function inline(tokens: readonly Token[], words: Words, depth: number): Part[] {
  if (depth > DEPTH) return tokens.map((token) => token.raw);
  return tokens.map((token) => piece(token, words, depth + 1));
}

function piece(token: Token, words: Words, depth: number): Part {
  const t = token as Tokens.Generic;
  const inner = () => inline(t.tokens ?? [], words, depth);
  switch (token.type) {
    case "strong":
      return html`<strong>${inner()}</strong>`;
    case "em":
      return html`<em>${inner()}</em>`;
    case "del":
      return html`<del>${inner()}</del>`;
    case "codespan":
      return html`<code>${t.text}</code>`;
    case "br":
      return html`<br />`;
    case "link":
      return link(t, inner(), words);
    case "image":
      return link(t, [`${words.image}: ${t.text || t.href}`], words);
    case "escape":
      return t.text as string;
    case "text":
      return t.tokens ? html`${inner()}` : unescaped(t.text as string);
    default:
      return token.raw;
  }
}

/** The words as they are when they say where it goes; otherwise with the host behind them. */
function link(t: Tokens.Generic, inner: Part[], words: Words): Part {
  const to = target(t.href as string);
  if (!to) return html`${inner}${t.text === t.href ? nothing : ` (${t.href})`}`;
  const says = typeof t.text === "string" && t.text.replace(/^(?:https?:\/\/|mailto:|tel:)/, "").startsWith(to.shown);
  return html`<a href=${to.href} target="_blank" rel="noopener noreferrer nofollow" title="${to.href} (${words.opensOutside})"
    >${inner}${says ? nothing : html`<span class="host"> (${to.shown})</span>`}</a
  >`;
}

function unescaped(text: string): string {
  return text.replace(/&(#x[0-9a-f]{1,6}|#\d{1,7}|[a-z]{2,6});/gi, (entity, name: string) => {
    if (!name.startsWith("#")) return NAMED[name.toLowerCase()] ?? entity;
    const point = name[1]!.toLowerCase() === "x" ? parseInt(name.slice(2), 16) : Number(name.slice(1));
    return point > 31 && point < 0x110000 ? harmless(String.fromCodePoint(point)) : entity;
  });
}

function spoken(tokens: readonly Token[]): string {
  return tokens.map((token) => saying(token as Tokens.Generic)).join("");
}

function saying(t: Tokens.Generic): string {
  switch (t.type) {
    case "list":
      return (t as unknown as Tokens.List).items.map((item) => spoken(item.tokens) + ". ").join("");
    case "table": {
      const rows = [(t as unknown as Tokens.Table).header, ...(t as unknown as Tokens.Table).rows];
      return rows.map((row) => row.map((cell) => spoken(cell.tokens)).join(", ") + ". ").join("");
    }
    case "space":
    case "hr":
    case "br":
      return " ";
  }
  const text = t.tokens ? spoken(t.tokens) : unescaped(String(t.text ?? t.raw));
  return t.type === "paragraph" || t.type === "heading" ? `${text} ` : text;
}
