// What every deliverable's component has: the item, the customer's language, and a way to answer it. To add one, put a
// component called parley-<kind> into deliverables/: displayOffer is shown by <parley-display-offer>.

import { html, LitElement, nothing, type TemplateResult } from "lit";
import { property } from "lit/decorators.js";
import { harmless } from "./hidden.ts";
import { base, card } from "./styles.ts";
import type { Texts } from "./texts.ts";
import type { Deliverable } from "./types.ts";

export interface Answered {
  decision: string;
  answer?: object;
}

export abstract class DeliverableElement<Payload> extends LitElement {
  static override styles = [base, card];

  @property({ attribute: false }) texts!: Texts;
  @property() language = "en";
  @property({ attribute: false }) item!: Deliverable;
  /** An answer is on its way, or the connection is not there. */
  @property({ type: Boolean }) busy = false;
  /** Why the last answer was refused. */
  @property() note = "";
  /** Milliseconds since the epoch; moves on while the card is open. */
  @property({ type: Number }) now = 0;

  protected abstract content(payload: Payload): TemplateResult;

  protected get payload(): Payload {
    return this.item.payload as Payload;
  }

  /** Whether it still takes an answer. */
  protected get open(): boolean {
    return this.item.status === "shown" && !this.expired;
  }

  protected get expired(): boolean {
    const until = this.item.expires_at;
    return this.item.status === "shown" && until !== null && until <= this.now;
  }

  protected decide(decision: string, answer?: object): void {
    if (!this.open || this.busy) return;
    this.renderRoot.querySelector("section")?.focus(); // the button that has it goes
    const detail = answer ? { decision, answer } : { decision };
    this.dispatchEvent(new CustomEvent<Answered>("answer", { detail, bubbles: true, composed: true }));
  }

  override render(): TemplateResult {
    return html`${this.content(this.payload)}`;
  }

  /** A card with a title, and what was refused above its buttons. */
  protected framed(title: string, eyebrow: string, state: unknown, body: unknown, footer: unknown): TemplateResult {
    return html`<section class="card" aria-labelledby="title" tabindex="-1">
      <header>
        <h2 id="title">${eyebrow ? html`<span class="eyebrow">${eyebrow}</span>` : nothing}<span dir="auto">${harmless(title)}</span></h2>
        ${state}
      </header>
      <div class="body">${body}</div>
      ${this.note ? html`<p class="note" role="alert">${this.note}</p>` : nothing}
      ${footer === nothing ? nothing : html`<footer>${footer}</footer>`}
    </section>`;
  }

  protected state(words: Record<string, string>, good: readonly string[] = []): unknown {
    const status = this.expired ? "expired" : this.item.status;
    const word = { expired: this.texts.expired, superseded: this.texts.superseded, ...words }[status];
    return word ? html`<span class="state ${good.includes(status) ? "good" : ""}">${word}</span>` : nothing;
  }

  protected button(text: string, decision: string, answer?: object, solid = false): TemplateResult {
    return html`<button class=${solid ? "solid" : ""} type="button" ?disabled=${this.busy} @click=${() => this.decide(decision, answer)}>
      ${text}
    </button>`;
  }
}

/** displayOffer → parley-display-offer */
export function tag(kind: string): string {
  return `parley-${kind.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
