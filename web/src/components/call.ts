// The call above the composer: what will happen, before the microphone is asked for; then what is going on, in words, with
// what is being said; and how it ended. Captions are pictures of sound, so they are no live region: the thread has them.

import { css, html, LitElement, nothing, type PropertyValues } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { type Call, word } from "../call.ts";
import { harmless } from "../hidden.ts";
import * as icons from "../icons.ts";
import { base } from "../styles.ts";
import type { Texts } from "../texts.ts";
import type { Voice } from "../voice.ts";

/** Bars of the meter, and how much of the level each shows. */
const BARS = [0.45, 0.8, 1, 0.7, 0.4];
/** So much of a falling level stays from one picture to the next. */
const FALL = 0.82;

@customElement("parley-call")
export class CallElement extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        overflow-y: auto; /* where letters are large for the screen */
      }
      section {
        margin: 0.25rem 0.75rem 0;
        padding: 0.6rem 0.6rem 0.6rem 0.9rem;
        padding-inline: 0.9rem 0.6rem;
        border: 1px solid var(--line);
        border-radius: calc(var(--radius) + 0.3rem);
        background: var(--tint);
      }
      section:focus {
        outline: none; /* it has nothing to do itself: its buttons come next */
      }
      .row {
        align-items: center;
        gap: 0.35rem;
      }
      .meter {
        display: flex;
        flex: none;
        align-items: center;
        gap: 3px;
        width: 32px;
        height: 28px;
        color: var(--strong-line);
      }
      .meter i {
        border-inline-start: 4px solid; /* a ground would be lost where colours are forced */
        height: calc(4px + 24px * var(--level, 0));
        border-radius: 2px;
      }
      .meter.agent {
        color: var(--link);
      }
      .meter.waiting i {
        animation: breathe 1.4s infinite ease-in-out;
      }
      @keyframes breathe {
        50% {
          height: 14px;
        }
      }
      .word {
        flex: 1;
        margin: 0;
        font-weight: 600;
        line-height: 1.25;
        overflow-wrap: normal;
      }
      button[aria-pressed="true"] {
        border-color: var(--warn);
        background: var(--warn-ground);
        color: var(--warn);
      }
      .end {
        flex: none;
        padding-inline: 0.6rem;
        border-color: var(--bad);
        color: var(--bad);
        font-weight: 600;
      }
      /* The newest words are seen, however many there are. */
      .captions {
        display: flex;
        flex-direction: column;
        justify-content: flex-end;
        max-height: 4.4rem;
        margin-top: 0.4rem;
        overflow: hidden;
      }
      p {
        margin: 0;
      }
      .captions b {
        color: var(--muted);
        font-weight: 600;
      }
      .device {
        display: flex;
        align-items: center;
        gap: 0.5rem;
        margin-top: 0.4rem;
      }
      section > button {
        margin-top: 0.4rem;
      }
      .outcome .word {
        font-weight: 400;
      }
      select {
        flex: 1;
        min-width: 0;
        min-height: 40px;
        padding: 0.3rem 0.5rem;
        border: 1px solid var(--strong-line);
        border-radius: calc(var(--radius) * 0.6);
        background: var(--ground);
      }
      .note {
        margin-top: 0.4rem;
        color: var(--warn);
      }
      h2 {
        display: flex;
        align-items: center;
        gap: 0.5rem;
        margin: 0 0 0.4rem;
        font-size: 1rem;
      }
      h2 svg {
        color: var(--link);
      }
      .how p {
        margin-bottom: 0.4rem;
      }
      .choice {
        margin-top: 0.7rem;
      }
      .choice button {
        flex: auto;
        min-height: 44px;
      }
      @media print {
        :host {
          display: none;
        }
      }
    `,
  ];

  @property({ attribute: false }) texts!: Texts;
  @property({ attribute: false }) voice!: Voice;
  @property({ attribute: false }) call!: Call;
  @property({ type: Boolean }) elsewhere = false;
  @state() private choosing = false;
  @state() private devices: { id: string; name: string }[] = [];
  private heights = [0, 0];
  private picture = 0;

  override render() {
    switch (this.call.place) {
      case "off":
        return nothing;
      case "explaining":
        return this.explanation();
      case "over":
        return this.outcome();
      default:
        return this.bars();
    }
  }

  // ---- before

  private explanation() {
    const { texts, voice } = this;
    return html`<section role="group" aria-labelledby="t" aria-describedby="how" @keydown=${this.key}>
      <h2 id="t">${icons.microphone()}${texts.talk}</h2>
      <div class="how" id="how">
        <p>${texts.talkAsks}</p>
        <p class="muted">${texts.talkHow}</p>
        ${this.elsewhere ? html`<p class="note small">${texts.talkTakesOver}</p>` : nothing}
      </div>
      <div class="row choice">
        <button class="solid" type="button" @click=${() => voice.agree()}>${texts.talkStart}</button>
        <button type="button" @click=${() => voice.decline()}>${texts.notNow}</button>
      </div>
    </section>`;
  }

  /** Not the whole chat is closed. */
  private readonly key = (event: KeyboardEvent): void => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    this.voice.decline();
  };

  // ---- during

  private bars() {
    const { texts, voice, call } = this;
    const now = word(call);
    const name = texts.mute;
    const meter = now === "connecting" || now === "reconnecting" || now === "thinking" ? "waiting" : now === "speaking" ? "agent" : "";
    return html`<section role="group" aria-label=${texts.call} tabindex="-1">
      <div class="row">
        <span class="meter ${meter}" aria-hidden="true">${BARS.map(() => html`<i></i>`)}</span>
        <p class="word">${texts[now]}</p>
        <button class="icon mute" type="button" aria-label=${name} title=${name} aria-pressed=${call.muted} ?disabled=${now === "connecting"} @click=${() => void voice.mute(!call.muted)}>
          ${call.muted ? icons.muted() : icons.microphone()}
        </button>
        <button class="quiet icon small" type="button" ?hidden=${now === "connecting"} aria-label=${texts.devices} title=${texts.devices} aria-expanded=${this.choosing} @click=${this.choose}>${icons.chevron()}</button>
        <button class="end" type="button" aria-label=${texts.endCall} title=${texts.endCall} @click=${() => voice.end()}>${texts.end}</button>
      </div>
      ${this.choosing ? this.picker() : nothing}
      ${call.silent ? html`<button type="button" @click=${() => voice.sound()}>${texts.soundOn}</button>` : nothing}
      ${call.words ? html`<p class="note small" dir="auto">${harmless(call.words)}</p>` : nothing} ${this.captions()}
    </section>`;
  }

  private captions() {
    const { texts, call } = this;
    if (!call.captions.length) return nothing;
    return html`<div class="captions">
      ${call.captions.map(
        ({ who, text }) => html`<p><b>${who === "user" ? texts.you : texts.assistant}:</b> <bdi class=${who}>${harmless(text)}</bdi></p>`,
      )}
    </div>`;
  }

  private picker() {
    const pick = (event: Event) => void this.voice.use((event.target as HTMLSelectElement).value);
    return html`<label class="device small muted">${this.texts.microphone}
      <select @change=${pick}>
        ${this.devices.map(({ id, name }) => html`<option value=${id} ?selected=${id === this.voice.device}>${name || this.texts.microphone}</option>`)}
      </select>
    </label>`;
  }

  private readonly choose = (): void => {
    this.choosing = !this.choosing;
    if (this.choosing) void this.voice.devices().then((devices) => (this.devices = devices));
  };

  // ---- after

  private outcome() {
    const { texts, call } = this;
    return html`<section class="row outcome">
      <p class="word" dir="auto">${harmless(call.words) || (call.note && texts[call.note])}</p>
      <button class="quiet icon small" type="button" aria-label=${texts.dismiss} title=${texts.dismiss} @click=${() => this.voice.read()}>${icons.cross()}</button>
    </section>`;
  }

  // ---- what moves

  protected override updated(changed: PropertyValues): void {
    const before = (changed.get("call") as Call | undefined)?.place;
    const { place } = this.call;
    if (changed.has("call") && place !== before) this.entered(place, before);
    if (place === "on") this.picture ||= requestAnimationFrame(this.draw);
  }

  /** The focus goes where the customer goes on, when it was here. */
  private entered(place: Call["place"], before: Call["place"] | undefined): void {
    this.choosing &&= place === "on";
    if (place === "explaining") this.renderRoot.querySelector("button")?.focus();
    else if (place === "connecting" && before !== "on") this.renderRoot.querySelector("section")?.focus();
  }

  private readonly draw = (): void => {
    this.picture = 0;
    if (this.call.place !== "on" || !this.isConnected) return;
    this.heights = this.voice.levels().map((level, n) => Math.max(level, this.heights[n]! * FALL));
    const level = this.heights[this.call.agent === "speaking" ? 1 : 0]!;
    this.renderRoot.querySelectorAll<HTMLElement>(".meter i").forEach((bar, n) => bar.style.setProperty("--level", String(level * BARS[n]!)));
    this.picture = requestAnimationFrame(this.draw);
  };
}
