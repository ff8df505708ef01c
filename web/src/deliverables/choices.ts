// A question with a few answers to pick from with a tap.

import { css, html, nothing } from "lit";
import { customElement, state } from "lit/decorators.js";
import { DeliverableElement } from "../deliverable.ts";
import { harmless } from "../hidden.ts";
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
        flex-direction: column;
        align-items: flex-start;
        width: 100%;
        text-align: start;
        border-color: var(--link);
      }
      .option[aria-pressed="true"] {
        background: var(--raised);
        outline: 2px solid var(--link);
        outline-offset: -2px;
      }
      .hint {
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
          <span dir="auto">${harmless(option.label)}</span>
          ${option.hint ? html`<span class="hint" dir="auto">${harmless(option.hint)}</span>` : nothing}
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
