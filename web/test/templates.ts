// What a template would put on the page, as text: its own strings, and values escaped as text nodes and attributes are.

import { nothing } from "lit";

interface Template {
  strings: readonly string[];
  values: readonly unknown[];
}

export function rendered(part: unknown): string {
  if (part === nothing || part === undefined || part === null || typeof part === "function") return "";
  if (Array.isArray(part)) return part.map(rendered).join("");
  if (isTemplate(part)) return part.strings.map((text, n) => text + (n < part.values.length ? rendered(part.values[n]) : "")).join("");
  return String(part).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** What a reader sees of it. */
export function visible(part: unknown): string {
  return rendered(part)
    .replace(/<button[^]*?<\/button>/g, "")
    .replace(/<[^>]*>/g, "")
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
    .replace(/\s+/g, " ")
    .trim();
}

/** Names of the elements, each once, in order of the alphabet. */
export function elements(part: unknown): string[] {
  return [...new Set([...rendered(part).matchAll(/<([a-z][a-z0-9-]*)/g)].map((match) => match[1]!))].sort();
}

export function links(part: unknown): string[] {
  return [...rendered(part).matchAll(/<a [^>]*?href=("?)([^\s">]*)/g)].map((match) => match[2]!);
}

function isTemplate(part: unknown): part is Template {
  return typeof part === "object" && part !== null && "strings" in part && "values" in part;
}
