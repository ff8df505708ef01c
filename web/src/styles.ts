// What all components share.

import { css } from "lit";

export const base = css`
  *,
  *::before,
  *::after {
    box-sizing: border-box;
  }
  :host {
    display: block;
    overflow-wrap: anywhere;
  }
  [hidden] {
    display: none !important;
  }
  button,
  input,
  select,
  textarea {
    font: inherit;
    color: inherit;
  }
  button {
    min-height: 40px;
    padding: 0.4rem 0.9rem;
    border: 1px solid var(--strong-line);
    border-radius: calc(var(--radius) * 0.75);
    background: var(--ground);
    cursor: pointer;
    text-align: center;
  }
  button:hover:not(:disabled) {
    background: var(--raised);
  }
  button.solid {
    background: var(--accent);
    border-color: var(--accent);
    color: var(--on-accent);
    font-weight: 600;
  }
  button.solid:hover:not(:disabled) {
    filter: brightness(1.08);
    background: var(--accent);
  }
  button.quiet {
    border-color: transparent;
    background: transparent;
    color: var(--muted);
  }
  button.quiet:hover:not(:disabled) {
    background: var(--raised);
    color: var(--text);
  }
  button.small {
    min-height: 28px;
    padding: 0.1rem 0.5rem;
    font-size: 0.8125rem;
  }
  button.icon {
    display: inline-grid;
    place-items: center;
    min-width: 40px;
    padding: 0;
  }
  button.icon.small {
    min-width: 28px;
  }
  button:disabled {
    opacity: 0.55;
    cursor: default;
  }
  :focus-visible {
    outline: 2px solid var(--link);
    outline-offset: 2px;
  }
  svg {
    display: block;
    flex: none;
  }
  a {
    color: var(--link);
  }
  .muted {
    color: var(--muted);
  }
  .small {
    font-size: 0.8125rem;
  }
  .row {
    display: flex;
    flex-wrap: wrap;
    gap: 0.5rem;
  }
  .sr {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  @media (prefers-reduced-motion: reduce) {
    *,
    *::before,
    *::after {
      animation-duration: 0.01ms !important;
      animation-iteration-count: 1 !important;
      transition-duration: 0.01ms !important;
      scroll-behavior: auto !important;
    }
  }
  @media (forced-colors: active) {
    button.solid {
      border: 2px solid ButtonText;
    }
    button[aria-pressed="true"] {
      border: 3px solid Highlight !important;
    }
    svg {
      color: inherit !important;
    }
  }
  @media print {
    button {
      display: none !important;
    }
  }
`;

export const card = css`
  .card {
    border: 1px solid var(--line);
    border-radius: var(--radius);
    background: var(--ground);
    box-shadow: var(--shadow);
    overflow: clip;
  }
  /* Of a card that is taller than the screen one sees, too, what it is. */
  .card > header {
    position: sticky;
    top: 0;
    z-index: 1;
    display: flex;
    flex-wrap: wrap;
    align-items: flex-start;
    gap: 0.5rem;
    padding: 0.75rem 1rem 0.35rem;
    background: var(--ground);
    box-shadow: 0 0.4rem 0.4rem -0.2rem var(--ground); /* what goes away below it fades */
  }
  @media (max-height: 26rem) {
    .card > header {
      position: static; /* what one reads or fills in needs the room */
    }
  }
  .card h2 {
    flex: 1 1 6rem;
    margin: 0;
    font-size: 1rem;
    line-height: 1.35;
  }
  .card .eyebrow {
    display: block;
    margin: 0;
    color: var(--muted);
    font-size: 0.75rem;
    font-weight: 600;
    letter-spacing: 0.02em;
  }
  .card .body {
    container-type: inline-size;
    padding: 0 1rem 0.75rem;
  }
  .card details summary {
    display: inline-flex;
    align-items: center;
    gap: 0.3rem;
    min-height: 28px;
    padding-inline: 0.3rem 0.6rem;
    margin-inline-start: -0.3rem;
    border-radius: 8px;
    color: var(--muted);
    font-size: 0.8125rem;
    cursor: pointer;
    list-style: none;
  }
  .card details summary::-webkit-details-marker {
    display: none;
  }
  .card details summary:hover {
    background: var(--raised);
    color: var(--text);
  }
  .card details[open] > summary svg {
    transform: rotate(180deg);
  }
  /* Letters that are large for the screen. */
  @container (max-width: 14em) {
    .body dl {
      display: block;
    }
  }
  .card footer {
    display: flex;
    flex-wrap: wrap;
    gap: 0.5rem;
    padding: 0 1rem 1rem;
  }
  .card footer button {
    flex: 1 1 auto;
    min-height: 44px;
  }
  .card p {
    margin: 0.35rem 0;
  }
  /* Words of another direction begin at the side where the card's own do. */
  :host(:dir(ltr)) :is(p, th, dt, dd, .words)[dir="auto"] {
    text-align: left;
  }
  :host(:dir(rtl)) :is(p, th, dt, dd, .words)[dir="auto"] {
    text-align: right;
  }
  .on-paper {
    display: none;
  }
  @media print {
    .card footer,
    .on-screen,
    .card summary svg {
      display: none !important;
    }
    .on-paper {
      display: inline;
    }
    .card {
      box-shadow: none;
    }
  }
  .state {
    display: inline-flex;
    align-items: center;
    gap: 0.35rem;
    padding: 0.15rem 0.6rem;
    border-radius: 99px;
    background: var(--raised);
    color: var(--muted);
    font-size: 0.8125rem;
    font-weight: 600;
  }
  .state.good {
    background: var(--good-ground);
    color: var(--good);
  }
  .state.bad {
    background: var(--bad-ground);
    color: var(--bad);
  }
  .state.warn {
    background: var(--warn-ground);
    color: var(--warn);
  }
  .time {
    display: flex;
    align-items: center;
    gap: 0.4rem;
    color: var(--muted);
    font-size: 0.8125rem;
  }
  .time.soon {
    color: var(--warn);
    font-weight: 600;
  }
  .note {
    margin: 0 1rem 1rem;
    padding: 0.5rem 0.75rem;
    border-radius: calc(var(--radius) * 0.6);
    background: var(--warn-ground);
    color: var(--warn);
  }
  label {
    display: block;
    font-weight: 600;
  }
  input:not([type="checkbox"], [type="radio"]),
  select,
  textarea {
    width: 100%;
    min-height: 40px;
    margin-top: 0.2rem;
    padding: 0.4rem 0.6rem;
    border: 1px solid var(--strong-line);
    border-radius: calc(var(--radius) * 0.6);
    background: var(--ground);
  }
  [aria-invalid="true"] {
    border-color: var(--bad) !important;
  }
  .error {
    margin: 0.2rem 0 0;
    color: var(--bad);
    font-size: 0.8125rem;
  }
`;
