// Where the customer writes: Enter sends, Shift+Enter begins a line; what is composed by an input method is left alone.

import { css, html, LitElement, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import * as icons from "../icons.ts";
import { MESSAGE_BYTES } from "../outbox.ts";
import { base } from "../styles.ts";
import { filled, type Texts } from "../texts.ts";

const ALMOST = 0.9;
const encoder = new TextEncoder();

@customElement("parley-composer")
export class Composer extends LitElement {
  static override styles = [
    base,
    css`
      form {
        display: flex;
        align-items: flex-end;
        gap: 0.4rem;
        margin: 0.5rem 0.75rem 0.75rem;
        padding: 0.3rem;
        border: 1px solid var(--strong-line);
        border-radius: calc(var(--radius) + 0.3rem);
        background: var(--ground);
      }
      form:focus-within {
        outline: 2px solid var(--link);
        outline-offset: -1px;
      }
      textarea {
        flex: 1;
        min-width: 0;
        min-height: 40px;
        max-height: 9rem;
        padding: 0.5rem;
        border: 0;
        background: none;
        resize: none;
        field-sizing: content;
        outline: none;
        line-height: 1.45;
        font-size: max(16px, 1em);
      }
      textarea:focus-visible {
        outline: none;
      }
      textarea::placeholder {
        color: var(--muted);
        opacity: 1;
      }
      button {
        flex: none;
        border-radius: calc(var(--radius));
      }
      p {
        margin: 0 1rem;
        color: var(--bad);
        font-size: 0.8125rem;
      }
    `,
  ];

  @property({ attribute: false }) texts!: Texts;
  @property({ type: Boolean }) running = false;
  @property({ type: Boolean }) locked = false;
  /** The microphone is offered. */
  @property({ type: Boolean }) voice = false;
  @query("textarea") private area!: HTMLTextAreaElement;
  @state() private text = "";

  override focus(): void {
    this.area?.focus();
  }

  /** Words to be changed and sent anew. */
  fill(text: string): void {
    this.text = text;
    void this.updateComplete.then(() => {
      this.#grow();
      this.area.focus();
      this.area.setSelectionRange(text.length, text.length);
    });
  }

  override render() {
    const bytes = this.text.length * 3 > MESSAGE_BYTES * ALMOST ? encoder.encode(this.text).length : 0;
    const over = bytes - MESSAGE_BYTES;
    return html`
      ${over > 0 ? html`<p id="over" role="status">${filled(this.texts.tooLong, { n: over })}</p>` : nothing}
      <form @submit=${this.#submit}>
        <textarea
          rows="1"
          dir="auto"
          enterkeyhint="send"
          aria-label=${this.locked ? this.texts.signIn : this.texts.write}
          aria-describedby=${over > 0 ? "over" : nothing}
          placeholder=${this.texts.write}
          ?readonly=${this.locked}
          aria-disabled=${this.locked || nothing}
          .value=${this.text}
          @input=${this.#input}
          @keydown=${this.#key}
        ></textarea>
        ${this.voice && !this.locked ? this.#voiceButton() : nothing}
        ${this.running && !this.text.trim() ? this.#stopButton() : this.#sendButton(over > 0)}
      </form>
    `;
  }

  #voiceButton() {
    const name = this.texts.talk;
    return html`<button class="quiet icon talk" type="button" aria-label=${name} title=${name} @click=${() => this.#tell("talk")}>
      ${icons.microphone()}
    </button>`;
  }

  #sendButton(tooLong: boolean) {
    const off = this.locked || tooLong || !this.text.trim();
    return html`<button class="solid icon" type="submit" aria-label=${this.texts.send} ?disabled=${off}>${icons.send()}</button>`;
  }

  #stopButton() {
    return html`<button class="icon" type="button" aria-label=${this.texts.stop} @click=${() => this.#tell("stop")}>
      ${icons.stop()}
    </button>`;
  }

  readonly #input = (): void => {
    this.text = this.area.value;
    this.#grow();
  };

  #grow(): void {
    if (CSS.supports("field-sizing", "content")) return;
    this.area.style.height = "auto";
    this.area.style.height = `${this.area.scrollHeight}px`;
  }

  readonly #key = (event: KeyboardEvent): void => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.#submit(event);
  };

  readonly #submit = (event: Event): void => {
    event.preventDefault();
    const text = this.text.trim();
    if (!text || this.locked || encoder.encode(text).length > MESSAGE_BYTES) return;
    this.text = "";
    this.#tell("say", text);
    void this.updateComplete.then(() => this.#grow());
  };

  #tell(type: string, detail?: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
