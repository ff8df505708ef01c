// Drawn here, so that nothing is loaded. Each is decoration: the button around it has the name.

import { svg, html, type TemplateResult } from "lit";

/** So large beside letters of 15 px, and larger beside larger ones. */
function icon(path: TemplateResult, pixels = 20): TemplateResult {
  const size = `${pixels / 15}rem`;
  return html`<svg
    viewBox="0 0 24 24"
    width=${size}
    height=${size}
    fill="none"
    stroke="currentColor"
    stroke-width="2"
    stroke-linecap="round"
    stroke-linejoin="round"
    aria-hidden="true"
  >
    ${path}
  </svg>`;
}

export const close = () => icon(svg`<path d="M6 6l12 12M18 6L6 18" />`);
export const more = () =>
  icon(svg`<circle cx="5" cy="12" r="1.4" /><circle cx="12" cy="12" r="1.4" /><circle cx="19" cy="12" r="1.4" />`);
export const send = () => icon(svg`<path d="M12 20V5M5 11l7-7 7 7" />`);
export const stop = () => icon(svg`<rect x="6" y="6" width="12" height="12" rx="2" fill="currentColor" />`);
export const down = () => icon(svg`<path d="M12 5v14M6 13l6 6 6-6" />`, 18);
export const chevron = () => icon(svg`<path d="M6 9l6 6 6-6" />`, 16);
export const check = () => icon(svg`<path d="M5 13l4 4 10-11" />`, 16);
export const cross = () => icon(svg`<path d="M7 7l10 10M17 7L7 17" />`, 16);
export const question = () => icon(svg`<path d="M9 9a3 3 0 1 1 4 2.8c-.8.4-1 .9-1 1.7M12 17h.01" />`, 16);
export const copy = () =>
  icon(svg`<rect x="9" y="9" width="11" height="11" rx="2" /><path d="M5 15V6a2 2 0 0 1 2-2h8" />`, 16);
export const pencil = () => icon(svg`<path d="M4 20l1-4L16 5l3 3L8 19z" />`, 16);
export const thumb = (up: boolean) =>
  icon(
    svg`<path transform=${up ? "" : "rotate(180 12 12)"} d="M7 11v9H4v-9zM7 12l4-8c1.5 0 2.5 1 2.5 2.500L13 10h6a1.5 1.5 0 0 1 1.5 1.800l-1.3 6.700A2 2 0 0 1 17.2 20H7" />`,
    16,
  );
export const printer = () =>
  icon(svg`<path d="M7 9V4h10v5M7 17H4v-7h16v7h-3" /><rect x="7" y="14" width="10" height="6" />`, 18);
export const shield = () => icon(svg`<path d="M12 3l8 3v6c0 5-3.5 8-8 9-4.5-1-8-4-8-9V6z" /><path d="M9 12l2 2 4-4" />`);
export const plus = () => icon(svg`<path d="M12 5v14M5 12h14" />`, 18);
export const windowOut = () => icon(svg`<path d="M14 4h6v6M20 4l-9 9M18 14v5H5V6h5" />`, 18);
export const clock = () => icon(svg`<circle cx="12" cy="12" r="8.5" /><path d="M12 7.500V12l3 2" />`, 16);
export const info = () => icon(svg`<circle cx="12" cy="12" r="8.5" /><path d="M12 11v5M12 8h.01" />`);
export const tick = () => icon(svg`<circle cx="12" cy="12" r="8.5" /><path d="M8.5 12.500l2.5 2.5 4.5-5.5" />`);
export const alarm = () => icon(svg`<path d="M12 4l9 16H3z" /><path d="M12 10v4M12 17h.01" />`);
const MICROPHONE = svg`<rect x="9" y="3" width="6" height="11" rx="3" /><path d="M5.5 11.500a6.5 6.5 0 0 0 13 0M12 18v3" />`;
export const microphone = () => icon(MICROPHONE);
export const muted = () => icon(svg`${MICROPHONE}<path d="M4 4l16 16" />`);
