// What the widget itself says, in the customer's language. Each language is a file of its own, loaded when it is wanted.

import type { Texts } from "./texts/en.ts";

export type { Texts };

const FILES: Record<string, () => Promise<Texts>> = {
  en: () => import("./texts/en.ts").then((file) => file.en),
  de: () => import("./texts/de.ts").then((file) => file.de),
  es: () => import("./texts/es.ts").then((file) => file.es),
  fr: () => import("./texts/fr.ts").then((file) => file.fr),
  ar: () => import("./texts/ar.ts").then((file) => file.ar),
};
const RIGHT_TO_LEFT = new Set(["ar"]);

export const NAMES: Record<string, string> = {
  en: "English",
  de: "Deutsch",
  es: "Español",
  fr: "Français",
  ar: "العربية",
};

export function load(language: string): Promise<Texts> {
  return (FILES[language] ?? FILES["en"]!)();
}

export function direction(language: string): "ltr" | "rtl" {
  return RIGHT_TO_LEFT.has(language) ? "rtl" : "ltr";
}

/** The first wish that can be served. A wish is "de", or "de-AT". */
export function chosen(wishes: readonly (string | null | undefined)[], offered: readonly string[]): string {
  const known = offered.filter((language) => language in FILES);
  for (const wish of wishes) {
    const language = wish?.toLowerCase().split("-")[0];
    if (language && known.includes(language)) return language;
  }
  return known[0] ?? "en";
}

/** The text with its `{holes}` filled. */
export function filled(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (hole, name: string) => String(values[name] ?? hole));
}
