// What the widget itself says, in the customer's language.

import { ar } from "./texts/ar.ts";
import { de } from "./texts/de.ts";
import { en, type Texts } from "./texts/en.ts";
import { es } from "./texts/es.ts";
import { fr } from "./texts/fr.ts";

export type { Texts };

const ALL: Record<string, Texts> = { en, de, es, fr, ar };
const RIGHT_TO_LEFT = new Set(["ar"]);

export const NAMES: Record<string, string> = {
  en: "English",
  de: "Deutsch",
  es: "Español",
  fr: "Français",
  ar: "العربية",
};

export function texts(language: string): Texts {
  return ALL[language] ?? en;
}

export function direction(language: string): "ltr" | "rtl" {
  return RIGHT_TO_LEFT.has(language) ? "rtl" : "ltr";
}

/** The first wish that can be served. A wish is "de", or "de-AT". */
export function chosen(wishes: readonly (string | null | undefined)[], offered: readonly string[]): string {
  const known = offered.filter((language) => language in ALL);
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
