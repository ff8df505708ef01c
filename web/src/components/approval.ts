// A question that matters: exactly these values, this action, until then. Nothing is hidden, nothing looks like something else.

import { css, html, LitElement, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { fields, rewritten } from "../exact.ts";
import { deceives, pieces } from "../hidden.ts";
import * as icons from "../icons.ts";
import { left } from "../money.ts";
import { base, card } from "../styles.ts";
import { filled, type Texts } from "../texts.ts";
import type { Interrupt } from "../types.ts";

/** The time left is pressing, and is said so. */
const SOON_MS = 5 * 60 * 1000;

@customElement("parley-approval")
export class Approval extends LitElement {
  static override styles = [
    base,
    card,
    css`
      .card.open {
        border: 2px solid var(--accent);
      }
      .card > header {
        align-items: center;
      }
      .shield {
        display: grid;
        flex: none;
        place-items: center;
        width: 2.4rem;
        height: 2.4rem;
        border-radius: 50%;
        background: var(--tint);
        color: var(--link);
      }
      dl {
        display: grid;
        grid-template-columns: minmax(5rem, auto) 1fr;
        margin: 0.6rem 0;
        border: 1px solid var(--line);
        border-radius: calc(var(--radius) * 0.6);
        overflow: clip;
      }
      dt,
      dd {
        margin: 0;
        padding: 0.4rem 0.6rem;
        border-top: 1px solid var(--line);
      }
      dt:first-of-type,
      dt:first-of-type + dd {
        border-top: 0;
      }
      dt {
        background: var(--raised);
        color: var(--muted);
      }
      dd {
        font-weight: 600;
        white-space: pre-wrap;
      }
      textarea {
        field-sizing: content;
      }
      mark {
        padding: 0 0.2em;
        border-radius: 4px;
        background: var(--bad-ground);
        color: var(--bad);
        font-weight: 700;
        outline: 1px solid var(--bad);
      }
      mark sup {
        font-size: 0.7em;
      }
      .careful {
        padding: 0.5rem 0.75rem;
        border-radius: calc(var(--radius) * 0.6);
        background: var(--bad-ground);
        color: var(--bad);
        font-weight: 600;
      }
    `,
  ];

  @property({ attribute: false }) texts!: Texts;
  @property() language = "en";
  @property({ attribute: false }) item!: Interrupt;
  @property({ type: Boolean }) busy = false;
  @property() note = "";
  @property({ type: Number }) now = 0;
  @state() private edited: Record<string, string> | undefined;

  override render() {
    const { item, texts } = this;
    const values = fields(item.arguments);
    const open = item.status === "open" && item.expires_at > this.now;
    const suspicious = deceives(item.arguments.replace(/\\n/g, "")) || Object.values(values).some((v) => deceives(plain(v)));
    return html`<section class="card ${open ? "open" : ""}" aria-labelledby="t" tabindex="-1">
      <header>
        <span class="shield">${icons.shield()}</span>
        <h2 id="t"><span class="eyebrow">${open ? texts.whoAsks : ""}</span>${this.#seen(item.title ?? item.tool)}</h2>
        ${open ? nothing : this.#outcome()}
      </header>
      <div class="body">
        ${open ? html`<p class="muted small">${texts.confirmHint}</p>` : nothing}
        ${suspicious ? html`<p class="careful" role="alert">${texts.hidden}</p>` : nothing}
        <dl>
          ${Object.entries(values).map(([name, value]) => html`<dt>${this.#label(name)}</dt><dd dir="auto">${this.#value(name, value)}</dd>`)}
        </dl>
        ${open ? this.#time() : nothing}
      </div>
      ${this.note ? html`<p class="note" role="alert">${this.note}</p>` : nothing} ${open ? this.#buttons() : nothing}
    </section>`;
  }

  #time() {
    const rest = this.item.expires_at - this.now;
    return html`<p class="time ${rest < SOON_MS ? "soon" : ""}">
      ${icons.clock()}<time datetime=${new Date(this.item.expires_at).toISOString()}>${filled(this.texts.validFor, { time: left(rest, this.language) })}</time>
    </p>`;
  }

  #value(name: string, value: unknown) {
    if (!this.edited || this.item.status !== "open" || !this.item.editable.includes(name))
      return this.#seen(this.item.shown?.[name] ?? plain(value));
    const change = (event: Event) => (this.edited = { ...this.edited, [name]: (event.target as HTMLTextAreaElement).value });
    return html`<textarea rows="2" aria-label=${this.#label(name)} .value=${this.edited[name] ?? ""} @input=${change}></textarea>`;
  }

  /** As the owner calls it; else `customer_number` as people write it. */
  #label(name: string): string {
    const words = name.replaceAll("_", " ");
    return this.item.labels?.[name] ?? words.charAt(0).toUpperCase() + words.slice(1);
  }

  #seen(text: string) {
    return pieces(text).map((piece) =>
      piece.marked === undefined ? piece.text : html`<mark title=${piece.marked}>${piece.text}${piece.marked === "≈" ? html`<sup>≈</sup>` : nothing}</mark>`,
    );
  }

  #buttons() {
    const { texts, busy } = this;
    const off = busy;
    const editable = this.item.editable.length > 0 && !this.edited;
    return html`<footer>
      <button class="solid" type="button" ?disabled=${off} @click=${() => this.#decide("approve")}>${texts.approve}</button>
      ${editable ? html`<button type="button" ?disabled=${off} @click=${this.#edit}>${texts.change}</button>` : nothing}
      <button type="button" ?disabled=${off} @click=${() => this.#decide("reject")}>${texts.reject}</button>
    </footer>`;
  }

  #outcome() {
    const { texts } = this;
    const status = this.item.status === "open" ? "expired" : this.item.status;
    const words: Record<string, string> = {
      approved: texts.approved,
      rejected: texts.rejected,
      expired: texts.expired,
      withdrawn: texts.withdrawn,
      answered: texts.answered,
    };
    return html`<span class="state ${status === "approved" ? "good" : ""}">${words[status] ?? status}</span>`;
  }

  readonly #edit = (): void => {
    const values = fields(this.item.arguments);
    this.edited = Object.fromEntries(this.item.editable.map((name) => [name, plain(values[name] ?? "")]));
    void this.updateComplete.then(() => this.renderRoot.querySelector("textarea")?.focus());
  };

  #decide(decision: "approve" | "reject"): void {
    this.renderRoot.querySelector("section")?.focus(); // the button that has it goes
    const detail = decision === "approve" && this.edited ? { decision, args: this.#changed() } : { decision };
    this.dispatchEvent(new CustomEvent("decide", { detail }));
  }

  /** As JSON: what nobody has touched goes back to the last digit. */
  #changed(): string {
    const values = fields(this.item.arguments);
    const written = Object.entries(this.edited!).filter(([name, text]) => plain(values[name] ?? "") !== text);
    return rewritten(this.item.arguments, Object.fromEntries(written));
  }
}

function plain(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 1);
}
