// Markdown to templates, through an allow-list: text, structure, and links that say where they go. Nothing is parsed as
// HTML, nothing loads, nothing acts by itself. One renderer for every place where a model's or a customer's words stand.

import { html, nothing, type TemplateResult } from "lit";
import { harmless } from "./hidden.ts";
import { type Block, type Inline, parse } from "./parse.ts";

/** More than any answer; the rest is shown as it is written. */
const LONGEST = 100_000;
const TASK = /^[☐☑]/;
const SCHEMES = new Set(["http:", "https:", "mailto:", "tel:"]);

type Part = TemplateResult | string | typeof nothing;

export interface Words {
  copy: string;
  image: string;
  opensOutside: string;
}

export function markdown(text: string, words: Words): Part[] {
  const clean = harmless(text);
  const tree = parse(clean.slice(0, LONGEST));
  return [...tree.map((one) => block(one, words)), clean.length > LONGEST ? clean.slice(LONGEST) : nothing];
}

/** What a reader hears: the words alone. */
export function plain(text: string): string {
  return parse(harmless(text).slice(0, LONGEST)).map(spokenBlock).join(" ").replace(/\s+/g, " ").trim();
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

// ---- blocks

function block(b: Block, words: Words): Part {
  switch (b.type) {
    case "paragraph":
      return html`<p>${inline(b.inner, words)}</p>`;
    case "heading":
      return html`<p class="heading">${inline(b.inner, words)}</p>`;
    case "rule":
      return html`<hr />`;
    case "quote":
      return html`<blockquote>${b.inner.map((one) => block(one, words))}</blockquote>`;
    case "code":
      return code(b.text, words);
    case "list": {
      const items = b.items.map((item) => html`<li class=${TASK.test(item.map(spokenBlock).join("")) ? "task" : ""}>${tight(item, words)}</li>`);
      return b.ordered ? html`<ol start=${b.start}>${items}</ol>` : html`<ul>${items}</ul>`;
    }
    case "table":
      return table(b, words);
  }
}

/** A point of one paragraph is a line, not a paragraph. */
function tight(item: Block[], words: Words): Part[] {
  return item.map((one, n) => (n === 0 && one.type === "paragraph" ? html`${inline(one.inner, words)}` : block(one, words)));
}

function code(text: string, words: Words): Part {
  const copy = () => void navigator.clipboard?.writeText(text).catch(() => undefined); // the page around does not allow it
  return html`<div class="code">
    <button class="quiet small" type="button" @click=${copy}>${words.copy}</button>
    <pre tabindex="0"><code>${text}</code></pre>
  </div>`;
}

function table({ rows: [head, ...rows], sides }: Block & { type: "table" }, words: Words): Part {
  const side = (n: number) => sides[n] ?? nothing;
  return html`<div class="table" tabindex="0">
    <table>
      <thead><tr>${head!.map((cell, n) => html`<th scope="col" align=${side(n)}>${inline(cell, words)}</th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr>${row.map((cell, n) => html`<td align=${side(n)}>${inline(cell, words)}</td>`)}</tr>`)}</tbody>
    </table>
  </div>`;
}

// ---- inline

function inline(pieces: Inline[], words: Words): Part[] {
  return pieces.map((one) => piece(one, words));
}

function piece(p: Inline, words: Words): Part {
  if (typeof p === "string") return p;
  switch (p.type) {
    case "strong":
      return html`<strong>${inline(p.inner, words)}</strong>`;
    case "em":
      return html`<em>${inline(p.inner, words)}</em>`;
    case "del":
      return html`<del>${inline(p.inner, words)}</del>`;
    case "code":
      return html`<code>${p.text}</code>`;
    case "break":
      return html`<br />`;
    case "link":
      return link(p.href, p.inner, words);
    case "image":
      return link(p.href, [`${words.image}: ${p.text || p.href}`], words);
  }
}

/** The words as they are when they say where it goes; otherwise with the host behind them. */
function link(href: string, inner: Inline[], words: Words): Part {
  const to = target(href);
  const said = spoken(inner);
  if (!to) return html`${unlinked(inner, words)}${href && said !== href ? ` (${href})` : nothing}`;
  const says = said.replace(/^(?:https?:\/\/|mailto:|tel:)/i, "");
  const clear = says === to.shown || says.startsWith(`${to.shown}/`) || says === to.href;
  return html`<a href=${to.href} target="_blank" rel="noopener noreferrer nofollow" title="${to.href} (${words.opensOutside})"
    >${unlinked(inner, words)}${clear ? nothing : html`<span class="host"> (${to.shown})</span>`}</a
  >`;
}

/** No link within a link. */
function unlinked(inner: Inline[], words: Words): Part[] {
  return inner.map((p) => (typeof p !== "string" && (p.type === "link" || p.type === "image") ? spoken([p]) : piece(p, words)));
}

// ---- aloud

function spoken(pieces: Inline[]): string {
  return pieces.map(saying).join("");
}

function saying(p: Inline): string {
  if (typeof p === "string") return p;
  if (p.type === "break") return " ";
  return "inner" in p ? spoken(p.inner) : p.text;
}

function spokenBlock(b: Block): string {
  switch (b.type) {
    case "code":
      return b.text;
    case "rule":
      return "";
    case "list":
      return b.items.map((item) => `${item.map(spokenBlock).join(" ")}.`).join(" ");
    case "quote":
      return b.inner.map(spokenBlock).join(" ");
    case "table":
      return b.rows.map((row) => `${row.map(spoken).join(", ")}.`).join(" ");
    default:
      return spoken(b.inner);
  }
}
