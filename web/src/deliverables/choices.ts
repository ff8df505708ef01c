// A question with a few answers to pick from with a tap.

import { css, html, nothing } from "lit";
import { customElement, state } from "lit/decorators.js";
import { DeliverableElement } from "../deliverable.ts";
import { harmless } from "../hidden.ts";
import * as icons from "../icons.ts";
import { filled } from "../texts.ts";

interface ChoicesPayload {
  question: string;
  options: { id: string; label: string; hint?: string | null }[];
  multiple: boolean;
}

@customElement("parley-display-choices")
export class ChoicesElement extends DeliverableElement<ChoicesPayload> {
  static override styles = [
    ...DeliverableElement.styles,
    css`
      .options {
        display: grid;
        gap: 0.4rem;
        margin-top: 0.5rem;
      }
      .option {
        display: flex;
        gap: 0.7rem;
        align-items: center;
        width: 100%;
        min-height: 44px;
        text-align: start;
      }
      .option:hover:not(:disabled),
      .option[aria-pressed="true"] {
        border-color: var(--link);
        background: var(--tint);
      }
      .option .words {
        flex: 1;
        min-width: 0;
      }
      .box {
        display: grid;
        flex: none;
        place-items: center;
        width: 1.33rem;
        height: 1.33rem;
        border: 1.5px solid var(--strong-line);
        border-radius: 6px;
      }
      [aria-pressed="true"] .box {
        border-color: currentColor;
        color: var(--link);
      }
      [aria-pressed="false"] svg {
        visibility: hidden;
      }
      .label {
        font-weight: 600;
      }
      .go {
        flex: none;
        color: var(--muted);
        transform: rotate(-90deg);
      }
      .go:dir(rtl) {
        transform: rotate(90deg);
      }
      .hint {
        display: block;
        color: var(--muted);
        font-size: 0.8125rem;
      }
    `,
  ];
  @state() private picked: readonly string[] = [];

  protected override content(choices: ChoicesPayload) {
    const { texts } = this;
    const body = this.open ? this.#options(choices) : html`<p>${this.#outcome(choices)}</p>`;
    const several = this.open && choices.multiple;
    return this.framed(
      choices.question,
      "",
      this.expired || this.item.status === "superseded" ? this.state({}) : nothing,
      body,
      this.open
        ? html`${several
            ? html`<button class="solid" type="button" ?disabled=${this.busy || !this.picked.length} @click=${() => this.decide("choose", { chosen: this.picked })}>
                ${texts.choose}
              </button>`
            : nothing}
          ${this.item.answers.includes("none") ? this.button(texts.noneFits, "none") : nothing}`
        : nothing,
    );
  }

  #options(choices: ChoicesPayload) {
    return html`<div class="options" role="group" aria-labelledby="title">
      ${choices.options.map((option) => {
        const pressed = this.picked.includes(option.id);
        return html`<button
          class="option"
          type="button"
          aria-pressed=${choices.multiple ? String(pressed) : nothing}
          ?disabled=${this.busy}
          @click=${() => this.#pick(option.id, choices.multiple)}
        >
          ${choices.multiple ? html`<span class="box">${icons.check()}</span>` : nothing}
          <span class="words" dir="auto"
            ><span class="label">${harmless(option.label)}</span
            >${option.hint ? html`<span class="hint">${harmless(option.hint)}</span>` : nothing}</span
          >
          ${choices.multiple ? nothing : html`<span class="go">${icons.chevron()}</span>`}
        </button>`;
      })}
    </div>`;
  }

  #pick(id: string, multiple: boolean): void {
    if (!multiple) return this.decide("choose", { chosen: [id] });
    this.picked = this.picked.includes(id) ? this.picked.filter((one) => one !== id) : [...this.picked, id];
  }

  #outcome(choices: ChoicesPayload) {
    if (this.item.status === "none") return this.texts.noneChosen;
    const chosen = (this.item.answer?.["chosen"] ?? []) as string[];
    const labels = choices.options.filter((option) => chosen.includes(option.id)).map((option) => harmless(option.label));
    if (!labels.length) return choices.options.map((option) => harmless(option.label)).join(" · ");
    return filled(this.texts.chosen, { what: labels.join(", ") });
  }
}
