// The owner's accent colour, made readable: contrasts as WCAG 2.2 counts them.

import type { Theme } from "./types.ts";

type Rgb = [number, number, number];

const LIGHT: Rgb = [255, 255, 255];
const DARK: Rgb = [23, 25, 31];
const TEXT_CONTRAST = 4.5;

/** Sets the variables that the styles use, for both schemes. */
export function apply(theme: Theme, root: HTMLElement): void {
  const accent = rgb(theme.accent);
  const set = (name: string, value: string) => root.style.setProperty(name, value);
  set("--accent", css(accent));
  set("--on-accent", contrast(accent, LIGHT) >= TEXT_CONTRAST ? "#fff" : contrast(accent, [0, 0, 0]) > contrast(accent, LIGHT) ? "#000" : "#fff");
  set("--accent-on-light", css(readable(accent, LIGHT)));
  set("--accent-on-dark", css(readable(accent, DARK)));
  set("--radius", theme.radius);
  if (theme.font) set("--font", theme.font);
}

export function scheme(wish: string, root: HTMLElement): void {
  root.dataset["scheme"] = wish === "auto" ? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light") : wish;
}

/** The colour, moved towards black or white until text of it can be read on the ground. */
export function readable(colour: Rgb, ground: Rgb): Rgb {
  const towards: Rgb = luminance(ground) > 0.4 ? [0, 0, 0] : [255, 255, 255];
  for (let share = 0; share <= 1; share += 0.05) {
    const mixed = colour.map((part, n) => Math.round(part + (towards[n]! - part) * share)) as Rgb;
    if (contrast(mixed, ground) >= TEXT_CONTRAST + 0.3) return mixed;
  }
  return towards;
}

export function contrast(a: Rgb, b: Rgb): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

function luminance(colour: Rgb): number {
  const [r, g, b] = colour.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as Rgb;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function rgb(hex: string): Rgb {
  const value = parseInt(hex.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

function css([r, g, b]: Rgb): string {
  return `rgb(${r} ${g} ${b})`;
}
