// The thread: messages, activities, deliverables, questions. Follows the newest words while the reader is there, and
// loads what is earlier when the reader goes up.

import { css, html, LitElement, nothing, type PropertyValues } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { Conversation, View } from "../conversation.ts";
import type { Answered } from "../deliverable.ts";
import { harmless } from "../hidden.ts";
import * as icons from "../icons.ts";
import { base } from "../styles.ts";
import { filled, type Texts } from "../texts.ts";
import type { Deliverable, Floor, Interrupt, Item, Message, Tool } from "../types.ts";
import "./activity.ts";
import "./approval.ts";
import "./deliverable.ts";
import "./message.ts";

/** A reader so near the end follows it. */
const NEAR_PX = 80;
/** Where the page before is asked for. */
const TOP_PX = 400;

type Entry = { key: string; item: Exclude<Item, Tool> } | { key: string; tools: Tool[] };

@customElement("parley-log")
export class Log extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        position: relative;
        flex: 1;
        min-height: 0;
        display: flex;
        flex-direction: column;
      }
      .scroll {
        flex: 1;
        overflow-y: auto;
        overscroll-behavior: contain;
        padding: 0 1rem;
        scroll-padding-block: min(9rem, 45%) min(4rem, 20%); /* a card's title, and the way to the newest words */
        scrollbar-width: thin;
      }
      .scroll:focus-visible {
        outline-offset: -3px;
      }
      /* The padding of what scrolls, and not of the scroller: a card's title sticks to the edge. */
      .content {
        padding-block: 1rem 0.5rem;
      }
      /* Nothing was said yet: the greeting and what one may say are what there is to see. */
      .blank {
        display: flex;
        flex-direction: column;
      }
      .blank .content {
        margin-top: auto;
        font-size: 1.375rem;
        font-weight: 600;
        line-height: 1.35;
        letter-spacing: -0.01em;
        text-wrap: balance;
      }
      .entry {
        margin-bottom: 0.75rem;
        content-visibility: auto;
        contain-intrinsic-size: auto 5rem;
      }
      /* What may grow is drawn, so that the place of the reader stays. */
      .entry.newest {
        content-visibility: visible;
      }
      .floor {
        display: flex;
        align-items: center;
        gap: 0.75rem;
        color: var(--muted);
        font-size: 0.8125rem;
      }
      .floor::before,
      .floor::after {
        content: "";
        flex: 1;
        border-top: 1px solid var(--line);
      }
      .jump {
        position: absolute;
        inset-block-end: 0.5rem;
        inset-inline: 0;
        margin-inline: auto;
        width: fit-content;
        border-radius: 50%;
        box-shadow: var(--shadow);
      }
      .earlier {
        display: block;
        margin: 0 auto 1rem;
      }
      .thinking {
        display: flex;
        align-items: center;
        gap: 0.5rem;
        min-height: 28px;
        color: var(--muted);
        font-size: 0.875rem;
      }
      .dots {
        display: inline-flex;
        gap: 4px;
      }
      .dots i {
        width: 6px;
        height: 6px;
        border-radius: 50%;
        background: currentColor;
        animation: bounce 1.2s infinite ease-in-out;
      }
      .dots i:nth-child(2) {
        animation-delay: 0.15s;
      }
      .dots i:nth-child(3) {
        animation-delay: 0.3s;
      }
      @keyframes bounce {
        0%,
        60%,
        100% {
          opacity: 0.35;
        }
        30% {
          opacity: 1;
          transform: translateY(-3px);
        }
      }
      .failed {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.5rem;
        padding: 0.6rem 0.9rem;
        border-radius: var(--radius);
        background: var(--bad-ground);
        color: var(--bad);
      }
      @media print {
        .scroll {
          overflow: visible;
        }
        .entry {
          content-visibility: visible;
        }
        .jump,
        .earlier {
          display: none;
        }
      }
    `,
  ];

  @property({ attribute: false }) texts!: Texts;
  @property() language = "en";
  @property({ attribute: false }) conversation!: Conversation;
  @property({ attribute: false }) view!: View;
  @property() greeting = "";
  @property({ type: Number }) now = 0;
  @query(".scroll") private scroller!: HTMLElement;
  @state() private away = false;
  /** What the reader looks at, and where on the screen it is: it stays there when a page comes before it. */
  #anchor: { entry: Element; top: number } | undefined;
  #following = true;
  /** Turns that the customer's voice began: their answers were spoken, too. */
  #spoken = new Set<string | undefined>();
  #top = 0;

  override render() {
    const { snapshot } = this.view;
    const entries = grouped(snapshot?.items ?? [], new Set(snapshot?.open));
    this.#spoken = new Set(snapshot?.items.map((item) => (item.kind === "message" && item.mode === "voice" ? item.turn : undefined)));
    const last = entries.length - 1;
    const blank = !entries.length && !this.view.unsent.length;
    return html`
      <div class="scroll ${blank ? "blank" : ""}" role="log" aria-live="off" aria-label=${this.texts.conversation} tabindex="0" @scroll=${this.#scrolled}>
        <div class="content">
        ${snapshot?.earlier ? this.#earlierButton() : this.#greeting()}
        ${repeat(entries, (entry) => entry.key, (entry, n) => html`<div class="entry ${n >= last - 2 ? "newest" : ""}">${this.#entry(entry, n === last)}</div>`)}
        ${this.#draft()} ${this.#ending()}
        ${this.view.unsent.map((message) => html`<div class="entry newest">${this.#unsent(message)}</div>`)}
        </div>
        <slot></slot>
      </div>
      ${this.away && !blank ? html`<button class="icon jump" type="button" aria-label=${this.texts.newest} title=${this.texts.newest} @click=${() => this.toEnd()}>${icons.down()}</button>` : nothing}
    `;
  }

  // ---- entries

  #entry(entry: Entry, newest: boolean) {
    if ("tools" in entry) return html`<parley-activity .texts=${this.texts} .tools=${entry.tools}></parley-activity>`;
    const { item } = entry;
    switch (item.kind) {
      case "message":
        return this.#message(item, newest);
      case "deliverable":
        return this.#deliverable(item);
      case "interrupt":
        return this.#approval(item);
      case "floor":
        return html`<div class="floor">${this.#floor(item)}</div>`;
      default:
        return nothing;
    }
  }

  #message(m: Message, newest: boolean) {
    return html`<parley-message
      .texts=${this.texts}
      .language=${this.language}
      role-of=${m.role}
      .text=${m.text}
      .status=${m.status}
      .author=${m.author ?? this.texts.colleague}
      .at=${m.at}
      .heard=${m.heard}
      .spoken=${m.mode === "voice" || (!!m.turn && this.#spoken.has(m.turn))}
      .rating=${m.rating ?? ""}
      ?newest=${newest}
      @rate=${(event: CustomEvent) => void this.conversation.rate(m.id, event.detail as "up" | "down")}
    ></parley-message>`;
  }

  #unsent(m: { id: string; text: string; refused?: string }) {
    const reachable = this.view.connection === "live" || this.view.connection === "connecting";
    const state = m.refused ?? (this.view.signInNeeded ? this.texts.signIn : reachable ? "sending" : "waiting");
    return html`<parley-message
      .texts=${this.texts}
      role-of="user"
      .text=${m.text}
      .unsent=${state}
      @discard=${() => this.conversation.discard(m.id)}
      @edit=${() => this.conversation.discard(m.id)}
    ></parley-message>`;
  }

  #deliverable(item: Deliverable) {
    const key = `${item.id}@${item.version}`;
    return html`<parley-deliverable
      .texts=${this.texts}
      .language=${this.language}
      .item=${item}
      .busy=${this.view.busy.has(key)}
      .note=${this.#note(key)}
      .now=${item.status === "shown" && item.expires_at ? this.now : item.at}
      @shown=${() => void this.conversation.acknowledge(item.id, item.version)}
      @answer=${(event: CustomEvent<Answered>) =>
        void this.conversation.answer(item.id, item.version, event.detail.decision, event.detail.answer)}
    ></parley-deliverable>`;
  }

  #approval(item: Interrupt) {
    return html`<parley-approval
      .texts=${this.texts}
      .language=${this.language}
      .item=${item}
      .busy=${this.view.busy.has(item.id)}
      .note=${this.#note(item.id)}
      .now=${item.status === "open" ? this.now : item.at}
      @decide=${(event: CustomEvent<{ decision: "approve" | "reject"; args?: string }>) =>
        void this.conversation.decide(item.id, event.detail.decision, event.detail.args)}
    ></parley-approval>`;
  }

  /** Why something could not be done. */
  #note(key: string): string {
    const said = this.view.notes.get(key);
    return said === undefined ? "" : said || this.texts.notReached;
  }

  /** Who left is who had come before. */
  #floor(item: Floor) {
    const came = (one: Item) => one.kind === "floor" && one.holder === "operator" && one.at <= item.at;
    const person = this.view.snapshot!.items.findLast(came) as Floor | undefined;
    const name = harmless(person?.name ?? this.texts.colleague);
    return filled(item.holder === "operator" ? this.texts.joined : this.texts.left, { name });
  }

  #greeting() {
    if (!this.greeting || this.view.loading) return nothing;
    return html`<div class="entry">
      <parley-message .texts=${this.texts} role-of="agent" .text=${this.greeting}></parley-message>
    </div>`;
  }

  #earlierButton() {
    return html`<button class="earlier quiet small" type="button" @click=${this.#earlier}>${this.texts.earlier}</button>`;
  }

  // ---- the end of the thread

  #draft() {
    const draft = this.view.snapshot?.draft;
    if (!draft?.text) return nothing;
    return html`<div class="entry newest">
      <parley-message .texts=${this.texts} role-of="agent" .text=${draft.text} writing></parley-message>
    </div>`;
  }

  /** That an answer is under way, or what became of it. */
  #ending() {
    const s = this.view.snapshot;
    if (!s) return nothing;
    const last = s.items.at(-1);
    const atWork = last?.kind === "tool" && last.status === "running" && last.calls === "tool";
    if (s.turn?.status === "running" && !s.draft?.text && !atWork) {
      return html`<div class="thinking"><span class="dots"><i></i><i></i><i></i></span>${this.texts.thinking}</div>`;
    }
    const failed = !s.turn && s.last_turn && ["failed", "interrupted"].includes(s.last_turn.status) && !this.view.unsent.length;
    if (!failed || s.last_turn!.code === "guardrail") return nothing;
    return html`<div class="failed entry" role="status">
      <span dir="auto">${harmless(s.last_turn!.aloud ?? this.texts.wrong)}</span>
      <button type="button" @click=${() => this.conversation.retry()}>${this.texts.retry}</button>
    </div>`;
  }

  // ---- scrolling

  toEnd(): void {
    this.#following = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  protected override willUpdate(changed: PropertyValues): void {
    const before = changed.get("view") as View | undefined;
    if (!before || !this.scroller) return;
    const same = before.snapshot?.conversation === this.view.snapshot?.conversation;
    const prepended = (before.snapshot?.earlier ?? 0) > (this.view.snapshot?.earlier ?? 0);
    if (same && prepended) this.#anchor = this.#looked();
    if (!same) {
      this.#anchor = undefined; // what one looked at has gone
      this.#following = true;
    }
    if (this.view.unsent.length > before.unsent.length) this.#following = true;
  }

  protected override updated(): void {
    if (!this.#anchor) return;
    this.#hold();
    // What came before has its height only when it has drawn itself.
    requestAnimationFrame(() => {
      this.#hold();
      requestAnimationFrame(() => {
        this.#hold();
        this.#anchor = undefined;
      });
    });
  }

  #looked(): { entry: Element; top: number } | undefined {
    const { top } = this.scroller.getBoundingClientRect();
    const entry = [...this.scroller.querySelectorAll(".entry")].find((one) => one.getBoundingClientRect().bottom > top);
    return entry && { entry, top: entry.getBoundingClientRect().top };
  }

  #hold(): void {
    if (this.#anchor) this.scroller.scrollTop += this.#anchor.entry.getBoundingClientRect().top - this.#anchor.top;
  }

  /** Children draw themselves after this element, and again when fonts or pictures come. */
  protected override firstUpdated(): void {
    const sizes = new ResizeObserver(() => this.#following && !this.scroller.matches(".blank") && this.toEnd());
    sizes.observe(this.scroller);
    sizes.observe(this.scroller.firstElementChild!);
  }

  readonly #scrolled = (): void => {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const near = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    // What grows below the reader is not the reader's leaving.
    this.#following = near || (this.#following && scrollTop >= this.#top);
    this.#top = scrollTop;
    this.away = !this.#following;
    if (scrollTop < TOP_PX && this.view.snapshot?.earlier) this.#earlier();
  };

  readonly #earlier = (): void => void this.conversation.earlier();
}

/** Calls that follow each other are one activity. What only shows something, or waits for a yes, has its card. */
function grouped(items: readonly Item[], open: ReadonlySet<string>): Entry[] {
  const asked = new Set(items.map((item) => (item.kind === "interrupt" && open.has(item.id) ? item.call : "")));
  const out: Entry[] = [];
  for (const item of items) {
    if (item.kind === "tool") {
      if ((item.calls && item.calls !== "tool") || asked.has(item.id)) continue;
      const last = out.at(-1);
      if (last && "tools" in last) last.tools.push(item);
      else out.push({ key: item.id, tools: [item] });
    } else if (item.kind === "interrupt" ? item.reason === "confirmation" : item.kind !== "handoff") {
      out.push({ key: `${item.kind}:${item.id ?? item.at}`, item });
    }
  }
  return out;
}
