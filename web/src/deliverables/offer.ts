// An offer: what it has, what it costs, how long it holds; accepted, declined or sent back with a wish. Prints alone.

import { css, html, nothing } from "lit";
import { customElement, state } from "lit/decorators.js";
import { DeliverableElement } from "../deliverable.ts";
import { harmless } from "../hidden.ts";
import * as icons from "../icons.ts";
import { left, moment, money } from "../money.ts";
import { filled } from "../texts.ts";
import { type Bill, bill, billStyles } from "./bill.ts";

export interface OfferPayload extends Bill {
  offer_id?: string;
  title: string;
  term_months?: number | null;
  terms?: string | null;
}

export const offerStyles = css`
  form {
    width: 100%;
  }
  form textarea {
    margin: 0.35rem 0 0.5rem;
  }
  .terms {
    white-space: pre-wrap;
  }
  .card footer > .solid {
    flex-basis: 100%;
  }
`;

/** The time left is pressing, and is said so. */
const SOON_MS = 3600 * 1000;

@customElement("parley-display-offer")
export class OfferElement extends DeliverableElement<OfferPayload> {
  static override styles = [...DeliverableElement.styles, billStyles, offerStyles];
  @state() private wishing = false;

  protected get eyebrow(): string {
    return [this.texts.offer, this.payload.offer_id].filter(Boolean).join(" ");
  }

  protected override willUpdate(changed: Map<string, unknown>): void {
    const before = changed.get("item") as { version: number } | undefined;
    if (before && before.version !== this.item.version) this.wishing = false;
  }

  protected override content(offer: OfferPayload) {
    const { texts } = this;
    const words = { accept: texts.accepted, decline: texts.declined, edit: texts.changeAsked };
    return this.framed(
      offer.title,
      this.eyebrow,
      html`${this.state(words, ["accept"])}${this.#printButton()}`,
      html`${bill(offer, texts, this.language)} ${this.#term(offer)} ${this.#validity()} ${this.#terms(offer)} ${this.#before()}`,
      this.open ? (this.wishing ? this.#wish() : this.#buttons()) : nothing,
    );
  }

  #printButton() {
    const name = this.texts.print;
    return html`<button class="quiet icon small" type="button" aria-label=${name} title=${name} @click=${this.#print}>${icons.printer()}</button>`;
  }

  #term(offer: OfferPayload) {
    const whole = offer.totals.term_total_minor;
    if (!whole || !offer.term_months) return nothing;
    const text = filled(this.texts.overTerm, { money: money(whole, offer.currency, this.language), n: offer.term_months });
    return html`<p class="muted small">${text}</p>`;
  }

  #validity() {
    const until = this.item.expires_at;
    if (!this.open || until === null) return nothing;
    const rest = until - this.now;
    return html`<p class="time ${rest < SOON_MS ? "soon" : ""}">
      ${icons.clock()}<time datetime=${new Date(until).toISOString()} title=${moment(until, this.language)}
        ><span class="on-screen">${filled(this.texts.validFor, { time: left(rest, this.language) })}</span
        ><span class="on-paper">${filled(this.texts.validUntil, { time: moment(until, this.language) })}</span></time
      >
    </p>`;
  }

  #terms(offer: OfferPayload) {
    if (!offer.terms) return nothing;
    return html`<details>
      <summary>${icons.chevron()}${this.texts.terms}</summary>
      <p class="terms small muted" dir="auto">${harmless(offer.terms)}</p>
    </details>`;
  }

  /** Versions before this one: folded, for whoever wants to compare. */
  #before() {
    const { versions } = this.item;
    if (!versions.length) return nothing;
    return html`<details class="on-screen">
      <summary>${icons.chevron()}${filled(this.texts.earlierVersions, { n: versions.length })}</summary>
      ${versions.map(
        (old) => html`<p class="small muted">${filled(this.texts.version, { n: old.version })} – ${this.texts.superseded}</p>
          ${bill(old.payload as OfferPayload, this.texts, this.language)}`,
      )}
    </details>`;
  }

  #buttons() {
    const { texts } = this;
    return html`${this.button(texts.accept, "accept", undefined, true)}
      <button class="wish" type="button" ?disabled=${this.busy} @click=${() => this.#wishes(true)}>${texts.askChange}</button>
      ${this.button(texts.decline, "decline")}`;
  }

  #wish() {
    const { texts } = this;
    return html`<form @submit=${this.#send}>
      <label for="wish">${texts.whatChange}</label>
      <textarea id="wish" rows="2" maxlength="500" required dir="auto"></textarea>
      <div class="row">
        <button class="solid" type="submit" ?disabled=${this.busy}>${texts.sendWish}</button>
        <button type="button" @click=${() => this.#wishes(false)}>${texts.cancel}</button>
      </div>
    </form>`;
  }

  #wishes(wishing: boolean): void {
    this.wishing = wishing;
    const place = wishing ? "textarea" : ".wish";
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>(place)?.focus());
  }

  readonly #send = (event: Event): void => {
    event.preventDefault();
    const wish = this.renderRoot.querySelector("textarea")!.value.trim();
    if (wish) this.decide("edit", { wish });
  };

  readonly #print = (): void => {
    this.dispatchEvent(new CustomEvent("print-one", { bubbles: true, composed: true }));
  };
}
