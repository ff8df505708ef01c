// One message, whoever wrote it: words, what became of it, and what can be done with it.

import { css, html, LitElement, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { harmless } from "../hidden.ts";
import * as icons from "../icons.ts";
import { markdown } from "../markdown.ts";
import { clock } from "../money.ts";
import { base } from "../styles.ts";
import type { Texts } from "../texts.ts";

const THANKED_MS = 1500;

@customElement("parley-message")
export class MessageElement extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: flex;
        flex-direction: column;
        align-items: flex-start;
        max-width: 100%;
      }
      :host([role-of="user"]) {
        align-items: flex-end;
      }
      .bubble {
        max-width: min(100%, 46rem);
        min-width: 0;
      }
      .agent {
        width: 100%;
      }
      .user,
      .operator {
        max-width: 85%;
        padding: 0.5rem 0.85rem;
        border: 1px solid transparent; /* seen where colours are forced */
        border-radius: var(--radius);
        background: var(--raised);
      }
      .user {
        background: var(--accent);
        color: var(--on-accent);
        border-bottom-right-radius: 4px;
      }
      /* At the side where the bubble stands, whatever the direction of its words. */
      :host(:dir(rtl)) .user {
        border-radius: var(--radius) var(--radius) var(--radius) 4px;
      }
      .words {
        white-space: pre-wrap;
      }
      .operator {
        border-end-start-radius: 4px;
        border-inline-start: 3px solid var(--accent);
      }
      .unsent {
        background: var(--raised);
        color: var(--text);
        border: 1px dashed var(--strong-line);
      }
      .who {
        margin-bottom: 0.15rem;
        font-size: 0.8125rem;
        font-weight: 600;
      }
      .bubble > :first-child {
        margin-top: 0;
      }
      .bubble > :last-child {
        margin-bottom: 0;
      }
      p {
        margin: 0.5rem 0;
      }
      .heading {
        font-weight: 700;
      }
      ul,
      ol {
        margin: 0.5rem 0;
        padding-inline-start: 1.4rem;
      }
      li {
        text-indent: 0;
      }
      ul > .task {
        list-style: none;
        text-indent: -1.2rem;
      }
      blockquote {
        margin: 0.5rem 0;
        padding-inline-start: 0.75rem;
        border-inline-start: 3px solid var(--line);
        color: var(--muted);
      }
      code {
        padding: 0.1em 0.3em;
        border-radius: 4px;
        background: var(--raised);
        font: 0.875em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace;
      }
      .code {
        position: relative;
        direction: ltr;
        margin: 0.5rem 0;
      }
      .code button {
        position: absolute;
        inset-block-start: 0.25rem;
        inset-inline-end: 0.25rem;
        background: var(--ground);
      }
      pre {
        margin: 0;
        padding: 0.75rem;
        overflow-x: auto;
        border-radius: calc(var(--radius) * 0.6);
        background: var(--raised);
        direction: ltr;
        text-align: start;
      }
      pre code {
        padding: 0;
        background: none;
      }
      .table {
        margin: 0.5rem 0;
        overflow-x: auto;
      }
      table {
        border-collapse: collapse;
      }
      th,
      td {
        padding: 0.3rem 0.6rem;
        border: 1px solid var(--line);
        overflow-wrap: break-word; /* a wide table scrolls, and its words stay whole */
        vertical-align: top;
      }
      th:not([align]) {
        text-align: start;
      }
      hr {
        border: 0;
        border-top: 1px solid var(--line);
      }
      .host {
        color: var(--muted);
        font-size: 0.875em;
      }
      .foot {
        display: flex;
        align-items: center;
        flex-wrap: wrap;
        gap: 0.1rem;
        min-height: 28px;
        margin-top: 0.1rem;
        color: var(--muted);
        font-size: 0.75rem;
      }
      :host([role-of="user"]) .foot {
        flex-direction: row-reverse;
      }
      .foot span {
        padding-inline: 0.25rem;
      }
      .refused {
        color: var(--bad);
      }
      .actions {
        display: inline-flex;
        opacity: 0;
        transition: opacity 0.12s;
      }
      :host(:hover) .actions,
      :host(:focus-within) .actions,
      :host([newest]) .actions,
      .actions:has([aria-pressed="true"]) {
        opacity: 1;
      }
      @media (hover: none) {
        .actions {
          opacity: 1;
        }
      }
      [aria-pressed="true"] {
        color: var(--link);
      }
      .caret > :last-child:not(ol, ul)::after,
      .caret > :last-child > li:last-child::after {
        content: "";
        display: inline-block;
        width: 0.5em;
        height: 1em;
        margin-inline-start: 0.15em;
        vertical-align: text-bottom;
        border-radius: 2px;
        background: var(--link);
        animation: blink 1s steps(2, start) infinite;
      }
      @keyframes blink {
        to {
          visibility: hidden;
        }
      }
    `,
  ];

  @property({ attribute: false }) texts!: Texts;
  @property() language = "en";
  @property({ attribute: "role-of", reflect: true }) from: "user" | "agent" | "operator" = "agent";
  @property() text = "";
  @property() status = "complete";
  @property() author = "";
  @property({ type: Number }) at = 0;
  @property() heard: string | undefined;
  @property({ type: Boolean }) spoken = false;
  @property() rating = "";
  @property({ type: Boolean }) writing = false;
  /** "" sent; "sending", "waiting" for the connection, or why it was refused. */
  @property() unsent = "";
  @property({ type: Boolean, reflect: true }) newest = false;
  @state() private copied = false;

  override render() {
    const own = this.from === "user";
    return html`
      <div class="bubble ${this.from} ${this.unsent ? "unsent" : ""} ${this.writing ? "caret" : ""}" dir="auto" aria-busy=${this.writing}>
        ${this.from === "operator" ? html`<div class="who" dir="auto">${harmless(this.author)}</div>` : html`<span class="sr" dir="auto">${own ? this.texts.you : this.texts.assistant}: </span>`}
        ${own ? html`<span class="words">${harmless(this.text)}</span>` : markdown(this.heard ?? this.text, this.texts)}
      </div>
      ${this.unsent ? this.#waiting() : this.at && !this.writing ? this.#foot(own) : nothing}
    `;
  }

  #foot(own: boolean) {
    const state = { stopped: this.texts.stopped, interrupted: this.texts.cutShort, truncated: this.texts.cutShort }[this.status];
    return html`<div class="foot">
      <span>${clock(this.at, this.language)}</span>
      ${state || this.heard !== undefined ? html`<span>${state ?? this.texts.cutShort}</span>` : nothing}
      ${this.spoken ? html`<span>${this.texts.spoken}</span>` : nothing}
      <span class="actions">
        ${this.#button(this.copied ? this.texts.copied : this.texts.copy, this.copied ? icons.check() : icons.copy(), () => void this.#copy())}
        ${own ? this.#button(this.texts.edit, icons.pencil(), () => this.#tell("edit", this.text)) : nothing}
        ${this.from === "agent" ? [this.#rate("up", this.texts.good), this.#rate("down", this.texts.bad)] : nothing}
      </span>
    </div>`;
  }

  #waiting() {
    if (this.unsent === "sending") return html`<div class="foot"><span>${this.texts.sending}</span></div>`;
    const refused = this.unsent !== "waiting";
    return html`<div class="foot">
      <span class=${refused ? "refused" : ""}>${refused ? `${this.texts.notSent}: ${this.unsent}` : this.texts.willSend}</span>
      <button class="quiet small" type="button" @click=${() => this.#tell("edit", this.text)}>${this.texts.edit}</button>
      <button class="quiet small" type="button" @click=${() => this.#tell("discard")}>${this.texts.discard}</button>
    </div>`;
  }

  #rate(rating: "up" | "down", name: string) {
    const pressed = this.rating === rating;
    return html`<button
      class="quiet icon small"
      type="button"
      aria-label=${name}
      title=${name}
      aria-pressed=${pressed}
      @click=${() => this.#tell("rate", rating)}
    >
      ${icons.thumb(rating === "up")}
    </button>`;
  }

  #button(name: string, icon: unknown, act: () => void) {
    return html`<button class="quiet icon small" type="button" aria-label=${name} title=${name} @click=${act}>${icon}</button>`;
  }

  async #copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(this.text);
    } catch {
      return; // the host's page does not allow it
    }
    this.copied = true;
    setTimeout(() => (this.copied = false), THANKED_MS);
  }

  #tell(type: string, detail?: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }
}
