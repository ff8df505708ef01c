// What the customer can set and where else they can go: new and earlier conversations, language, appearance, a window.

import { css, html, LitElement, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { harmless } from "../hidden.ts";
import * as icons from "../icons.ts";
import { moment } from "../money.ts";
import { base } from "../styles.ts";
import { NAMES, type Texts } from "../texts.ts";

export interface Line {
  conversation: string;
  title: string;
  updated_at: number;
}

@customElement("parley-menu")
export class Menu extends LitElement {
  static override styles = [
    base,
    css`
      /* Below the header that it is in: beside the other buttons a narrow screen has no room for it. */
      .sheet {
        position: absolute;
        inset-block-start: calc(100% - 4px);
        inset-inline-end: 0.5rem;
        z-index: 2;
        width: min(18rem, calc(100% - 1rem));
        max-height: calc(100vh - 5rem);
        overflow-y: auto;
        padding: 0.5rem;
        border: 1px solid var(--line);
        border-radius: var(--radius);
        background: var(--ground);
        box-shadow: 0 8px 30px rgb(0 0 0 / 25%);
      }
      .sheet > button,
      li button {
        display: flex;
        align-items: center;
        gap: 0.6rem;
        width: 100%;
        text-align: start;
        color: var(--text);
      }
      .pick {
        display: flex;
        align-items: center;
        justify-content: space-between;
        flex-wrap: wrap;
        gap: 0.25rem 0.75rem;
        padding: 0.25rem 0.9rem;
      }
      select {
        min-height: 36px;
        max-width: 100%;
        padding: 0.2rem 0.4rem;
        border: 1px solid var(--strong-line);
        border-radius: 8px;
        background: var(--ground);
      }
      h2 {
        margin: 0.6rem 0.9rem 0.2rem;
        font-size: 0.8125rem;
        color: var(--muted);
      }
      ul {
        margin: 0;
        padding: 0;
        list-style: none;
      }
      li button {
        display: block;
      }
      li time {
        display: block;
        color: var(--muted);
        font-size: 0.75rem;
      }
      .title {
        display: block;
      }
      [aria-current] .title {
        color: var(--link);
        font-weight: 600;
      }
    `,
  ];

  @property({ attribute: false }) texts!: Texts;
  @property() language = "en";
  @property({ attribute: false }) languages: string[] = [];
  @property() scheme = "auto";
  @property() current = "";
  @property({ type: Boolean }) canPopOut = false;
  @property({ attribute: false }) others!: () => Promise<Line[]>;
  @state() private open = false;
  @state() private lines: Line[] = [];

  override render() {
    const { texts } = this;
    return html`<button
        class="quiet icon"
        type="button"
        aria-label=${texts.more}
        title=${texts.more}
        aria-expanded=${this.open}
        @click=${this.#toggle}
      >
        ${icons.more()}
      </button>
      ${this.open ? html`<div class="sheet">${this.#sheet()}</div>` : nothing}`;
  }

  /** On the whole of it: who pressed the button again to look at the menu still means the menu with Escape. */
  override firstUpdated(): void {
    this.addEventListener("keydown", this.#key);
    this.addEventListener("focusout", this.#left);
  }

  #sheet() {
    const { texts } = this;
    return html`
      <button class="quiet" type="button" @click=${() => this.#choose("new")}>${icons.plus()} ${texts.newConversation}</button>
      ${this.canPopOut ? html`<button class="quiet" type="button" @click=${() => this.#choose("pop-out")}>${icons.windowOut()} ${texts.popOut}</button>` : nothing}
      <label class="pick">${texts.language}
        <select @change=${(event: Event) => this.#tell("language", (event.target as HTMLSelectElement).value)}>
          ${this.languages.map((code) => html`<option value=${code} lang=${code} ?selected=${code === this.language}>${NAMES[code] ?? code}</option>`)}
        </select>
      </label>
      <label class="pick">${texts.scheme}
        <select @change=${(event: Event) => this.#tell("scheme", (event.target as HTMLSelectElement).value)}>
          ${(["auto", "light", "dark"] as const).map((one) => html`<option value=${one} ?selected=${one === this.scheme}>${texts[one]}</option>`)}
        </select>
      </label>
      ${this.lines.some((line) => line.conversation !== this.current) ? this.#others() : nothing}
    `;
  }

  #others() {
    return html`<h2>${this.texts.earlierConversations}</h2>
      <ul>
        ${this.lines.map(
          (line) => html`<li>
            <button class="quiet" type="button" aria-current=${line.conversation === this.current ? "true" : nothing} @click=${() => this.#choose("switch", line.conversation)}>
              <span class="title" dir="auto">${harmless(line.title) || this.texts.untitled}</span>
              <time>${moment(line.updated_at, this.language)}</time>
            </button>
          </li>`,
        )}
      </ul>`;
  }

  readonly #toggle = (): void => {
    this.open = !this.open;
    if (!this.open) return;
    this.lines = []; // those of the last time would move under the finger when the new ones come
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>(".sheet button")?.focus());
    void this.others().then(
      (lines) => (this.lines = this.lines.length ? this.lines : lines),
      () => undefined,
    );
  };

  readonly #key = (event: KeyboardEvent): void => {
    if (event.key !== "Escape" || !this.open) return;
    event.stopPropagation();
    this.#close();
  };

  readonly #left = (event: FocusEvent): void => {
    const to = event.relatedTarget as Node | null;
    if (to && to !== this && !this.renderRoot.contains(to)) this.open = false;
  };

  #close(): void {
    this.open = false;
    void this.updateComplete.then(() => this.renderRoot.querySelector("button")?.focus());
  }

  /** Another conversation takes the focus itself. */
  #choose(type: string, detail?: string): void {
    if (type === "pop-out") this.#close();
    else this.open = false;
    this.#tell(type, detail);
  }

  #tell(type: string, detail?: string): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
