// A deliverable in the thread: the component of its kind, told what it shows. A kind that has none is said so.

import { html, LitElement } from "lit";
import { customElement, property } from "lit/decorators.js";
import { DeliverableElement, tag } from "../deliverable.ts";
import { base } from "../styles.ts";
import type { Texts } from "../texts.ts";
import type { Deliverable } from "../types.ts";

@customElement("parley-deliverable")
export class DeliverableSlot extends LitElement {
  static override styles = base;

  @property({ attribute: false }) texts!: Texts;
  @property() language = "en";
  @property({ attribute: false }) item!: Deliverable;
  @property({ type: Boolean }) busy = false;
  @property() note = "";
  @property({ type: Number }) now = 0;
  #element: DeliverableElement<unknown> | undefined;
  #acknowledged = 0;

  override render() {
    const name = tag(this.item.type);
    if (!customElements.get(name)) return html`<p class="muted">${this.texts.notShown}</p>`;
    if (this.#element?.localName !== name) this.#element = document.createElement(name) as DeliverableElement<unknown>;
    const { texts, language, item, busy, note, now } = this;
    Object.assign(this.#element, { texts, language, item, busy, note, now });
    return html`${this.#element}`;
  }

  protected override updated(): void {
    const { item } = this;
    if (item.status !== "shown" || this.#acknowledged === item.version) return;
    if (!customElements.get(tag(item.type))) return;
    this.#acknowledged = item.version;
    this.dispatchEvent(new CustomEvent("shown", { detail: item.version }));
  }
}
