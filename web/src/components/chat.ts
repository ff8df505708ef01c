// The whole panel: who one talks to, the thread, what stands in the way, and where one writes.

import { css, html, LitElement, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { Announcer, Sentences } from "../announcer.ts";
import { Api } from "../api.ts";
import { type Call, live, news } from "../call.ts";
import { Conversation, type View } from "../conversation.ts";
import { harmless } from "../hidden.ts";
import { Host } from "../host.ts";
import * as icons from "../icons.ts";
import { plain } from "../markdown.ts";
import { closeWindows, handedOver, popOut } from "../popout.ts";
import { Storage } from "../storage.ts";
import { base } from "../styles.ts";
import { chosen, direction, load, type Texts } from "../texts.ts";
import * as theme from "../theme.ts";
import type { Message, Site, Watched } from "../types.ts";
import { Voice } from "../voice.ts";
import type { Composer } from "./composer.ts";
import type { Log } from "./log.ts";
import type { TopicLists } from "./topics.ts";
import "./call.ts";
import "./composer.ts";
import "./log.ts";
import "./menu.ts";
import "./topics.ts";

const SECOND_MS = 1000;
/** A lost connection is told when it lasts: most come back before anybody would notice. */
const TOLD_AFTER_MS = 2500;
/** Between two attempts to load the chat's words. */
const AGAIN_MS = 10_000;

interface Wishes {
  language?: string;
  scheme?: string;
}

@customElement("parley-chat")
export class Chat extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        position: relative;
        display: flex;
        flex-direction: column;
        height: 100%;
        background: var(--ground);
      }
      header {
        position: relative;
        display: flex;
        align-items: center;
        gap: 0.25rem;
        min-height: 56px;
        padding-block: 0.4rem;
        padding-inline: 1rem 0.5rem;
        border-bottom: 1px solid var(--line);
      }
      .who {
        flex: 1;
      }
      h1 {
        margin: 0;
        font-size: 1rem;
        line-height: 1.3;
      }
      .who p {
        margin: 0;
        color: var(--muted);
        font-size: 0.75rem;
      }
      .avatar {
        display: grid;
        flex: none;
        place-items: center;
        width: 2.25rem;
        height: 2.25rem;
        margin-inline-end: 0.5rem;
        border-radius: 50%;
        background: var(--accent);
        color: var(--on-accent);
        font-weight: 700;
        font-size: 0.8125rem;
      }
      /* Letters that are large for the screen. */
      @media (max-width: 16em) {
        .avatar {
          display: none;
        }
      }
      .avatar.person {
        outline: 2px solid var(--good);
        outline-offset: 2px;
      }
      .notice {
        margin: 0;
        padding: 0.4rem 1rem;
        background: var(--warn-ground);
        color: var(--warn);
        font-size: 0.8125rem;
      }
      .demo {
        margin: 0;
        padding: 0.2rem 1rem;
        background: var(--raised);
        color: var(--muted);
        font-size: 0.75rem;
        text-align: center;
      }
      .starters {
        display: flex;
        flex-wrap: wrap;
        gap: 0.4rem;
        padding-block: 0.25rem;
      }
      .starters button {
        border-color: var(--link);
        border-radius: 99px;
        color: var(--link);
      }
      @media print {
        :host {
          display: block;
          height: auto;
        }
        header,
        .notice,
        .starters,
        parley-composer {
          display: none;
        }
      }
    `,
  ];

  @property({ attribute: false }) site!: Site;
  @property() mode = "panel";
  @state() private view!: View;
  @state() private language = "en";
  @state() private scheme = "auto";
  @state() private now = Date.now();
  @state() private late = false;
  @state() private words: Texts | undefined;
  @state() private call!: Call;
  @query("parley-composer") private composer!: Composer;
  @query("parley-log") private log!: Log;
  #conversation!: Conversation;
  #voice!: Voice;
  #host!: Host;
  #storage!: Storage;
  #sentences = new Sentences();
  #announcer = new Announcer(() => this.requestUpdate());
  #visible = true;
  #lateTimer: ReturnType<typeof setTimeout> | undefined;
  #scheduled = false;

  /** Once: it is there as long as its page, and what it listens to goes with that. */
  override connectedCallback(): void {
    super.connectedCallback();
    this.#storage = new Storage(this.site.key);
    theme.apply(this.site.theme, document.documentElement);
    this.#setUp();
    this.#conversation = new Conversation(
      this.site,
      new Api("", () => this.language),
      this.#storage,
      () => this.language,
      () => this.#changed(),
      (event) => this.#heard(event),
      () => this.#host.tell("expired"),
    );
    this.view = this.#conversation.view;
    this.#voice = new Voice(this.#conversation, (before) => this.#called(before));
    this.call = this.#voice.call;
    this.#host = new Host(this.site, this.#orders());
    setInterval(() => this.#tick(), SECOND_MS);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#paint());
    this.addEventListener("edit", (event) => this.composer.fill((event as CustomEvent<string>).detail));
    this.addEventListener("print-one", (event) => this.#print(event));
    addEventListener("keydown", (event) => this.#key(event));
    void this.#begin();
  }

  async #begin(): Promise<void> {
    const kept = await handedOver();
    if (kept) this.#conversation.take(kept);
    await this.#conversation.resume();
  }

  /** Whoever composes a character takes that back with Escape. */
  #key({ key, isComposing }: KeyboardEvent): void {
    if (key === "Escape" && !isComposing && !live(this.call)) this.#host.tell("close");
  }

  #tick(): void {
    this.now = Date.now();
    if (this.#visible && !document.hidden) void this.#voice.ask();
  }

  // ---- language and looks

  #setUp(): void {
    const wishes = (this.#storage.read(":wishes") ?? {}) as Wishes;
    const query = new URLSearchParams(location.search);
    const own = this.site.language === "auto" ? null : this.site.language;
    const wanted = [wishes.language, query.get("language"), own, query.get("page"), ...navigator.languages];
    this.language = chosen(wanted, this.site.languages);
    this.scheme = wishes.scheme ?? query.get("scheme") ?? this.site.theme.scheme;
    this.#paint();
    const { language } = this;
    void load(language).then(
      (words) => {
        if (language === this.language) this.words = words;
      },
      // Offline, the words that are there will do. Without any there is nothing to lose: the file may be of a build that has gone.
      () => setTimeout(() => this.words ?? location.reload(), AGAIN_MS),
    );
  }

  #wish(wishes: Wishes): void {
    this.#storage.write(":wishes", { ...((this.#storage.read(":wishes") ?? {}) as Wishes), ...wishes });
    this.#setUp();
  }

  #paint(): void {
    const root = document.documentElement;
    theme.scheme(this.scheme, root);
    root.lang = this.language;
    root.dir = direction(this.language);
  }

  // ---- the page around

  #orders() {
    return {
      visible: (visible: boolean) => this.#show(visible),
      identify: (identity: string) => void this.#conversation.identify(identity),
      logout: () => {
        this.#voice.end();
        closeWindows();
        this.#conversation.logout();
      },
      say: (text: string) => this.#conversation.say(text),
      language: (code: string) => this.#wish({ language: code }),
      scheme: (wish: string) => this.#wish({ scheme: wish }),
      focus: () => void this.#drawn().then(() => this.composer.focus()),
    };
  }

  /** The first words of a page may come before its language has. */
  async #drawn(): Promise<void> {
    while (!this.composer) await new Promise(requestAnimationFrame);
  }

  #show(visible: boolean): void {
    this.#visible = visible;
    if (!visible) return this.#voice.end(); // no microphone is open that nobody sees
    this.#host.count(0);
    void this.#voice.ask();
    void this.updateComplete.then(() => this.log?.toEnd());
  }

  /** Words of the business that nobody sees are counted; those somebody waits for are said to screen readers. */
  #heard(event: Watched): void {
    this.#voice.heard(event);
    const said = event.type === "message.finished" || (event.type === "message.added" && event["role"] === "operator");
    if (said && !this.#visible) this.#host.count(this.#host.unread + 1);
    const draft = this.#conversation.view.snapshot?.draft;
    if (event.type === "text.delta" && draft) this.#answer(this.#sentences.take(draft.message, draft.text, false));
    if (event.type === "message.finished") this.#answer(this.#sentences.take(event["message"], event["text"], true));
    if (event.type === "message.added" && event["role"] === "operator") this.#answer(event["text"]);
    if (event.type === "interrupt.opened") this.#say(`${this.words?.confirm}: ${event["title"] ?? event["tool"]}`);
    if (event.type === "deliverable.shown") this.#say(event["payload"]?.title ?? event["payload"]?.question ?? "");
  }

  /** In a call it is spoken already: two voices at once are none. */
  #answer(text: string): void {
    if (this.call.place !== "on") this.#say(text);
  }

  #called(before: Call): void {
    this.call = this.#voice.call;
    const said = news(before, this.call);
    if (said && this.words) this.#say(said === "words" ? this.call.words : this.words[said]);
    const inside = this.shadowRoot!.activeElement?.localName === "parley-call"; // what has the focus there may go
    if (inside && !live(this.call) && this.call.place !== "explaining") this.composer.focus();
    this.requestUpdate();
  }

  #say(text: string): void {
    this.#announcer.say(plain(text));
  }

  /** Drawn at most once a frame, however fast words come. */
  #changed(): void {
    this.#voice.follow(); // at once: a chat that is scrolled out of sight is not drawn
    if (this.#scheduled) return;
    this.#scheduled = true;
    const draw = () => {
      this.#scheduled = false;
      this.view = this.#conversation.view;
      this.#timeConnection();
    };
    if (document.hidden) setTimeout(draw);
    else requestAnimationFrame(draw);
  }

  #timeConnection(): void {
    const well = this.view.connection === "live";
    if (well || this.view.connection === "offline") {
      clearTimeout(this.#lateTimer);
      this.#lateTimer = undefined;
      this.late = !well;
    } else {
      this.#lateTimer ??= setTimeout(() => (this.late = true), TOLD_AFTER_MS);
    }
  }

  // ---- drawing

  override render() {
    const { view, language, words } = this;
    if (!words) return nothing;
    return html`
      ${this.#header(words)}
      ${this.site.demo_model ? html`<p class="demo">${words.demo}</p>` : nothing}
      <parley-topics .texts=${words} .topics=${view.snapshot?.state["topics"] as TopicLists | undefined}></parley-topics>
      <parley-log
        .texts=${words}
        .language=${language}
        .conversation=${this.#conversation}
        .view=${view}
        .greeting=${this.#perLanguage(this.site.greeting) ?? ""}
        .now=${this.now}
        >${this.#starters()}</parley-log
      >
      <div role="status">${this.#notice(words)}</div>
      <parley-call .texts=${words} .voice=${this.#voice} .call=${this.call} ?elsewhere=${this.#voice.elsewhere}></parley-call>
      <parley-composer
        .texts=${words}
        ?running=${view.snapshot?.turn?.status === "running"}
        ?locked=${view.signInNeeded}
        ?voice=${this.#voice.offered}
        @talk=${() => this.#voice.talk()}
        @say=${(event: CustomEvent<string>) => this.#write(event.detail)}
        @stop=${() => void this.#conversation.stop()}
      ></parley-composer>
      <div class="sr" aria-live="polite">${this.#announcer.spoken}</div>
    `;
  }

  #header(words: Texts) {
    const floor = this.view.snapshot?.floor;
    const person = floor?.holder === "operator" ? harmless(floor.name ?? words.colleague) : undefined;
    const name = harmless(this.site.name);
    return html`<header role="none">
      <span class="avatar ${person ? "person" : ""}" aria-hidden="true">${initials(person ?? name)}</span>
      <div class="who">
        <h1>${person ?? name}</h1>
        <p>${person ? name : words.assistant}</p>
      </div>
      <parley-menu
        .texts=${words}
        .language=${this.language}
        .languages=${this.site.languages}
        .scheme=${this.scheme}
        .current=${this.view.snapshot?.conversation ?? ""}
        .others=${() => this.#conversation.others()}
        ?canPopOut=${this.mode !== "page"}
        @new=${() => {
          this.#conversation.startNew();
          this.composer.focus();
        }}
        @switch=${(event: CustomEvent<string>) => void this.#conversation.switchTo(event.detail).then(() => this.composer.focus())}
        @language=${(event: CustomEvent<string>) => this.#wish({ language: event.detail })}
        @scheme=${(event: CustomEvent<string>) => this.#wish({ scheme: event.detail })}
        @pop-out=${() => popOut(`/widget/${this.site.key}?mode=page`, () => this.#storage.kept)}
      ></parley-menu>
      ${this.mode === "panel" && this.#host.framed
        ? html`<button class="quiet icon" type="button" aria-label=${words.close} title=${words.close} @click=${() => this.#host.tell("close")}>${icons.close()}</button>`
        : nothing}
    </header>`;
  }

  #notice(words: Texts) {
    const { view } = this;
    const text = view.signInNeeded
      ? words.signIn
      : view.connection === "offline"
        ? words.offline
        : view.problem
          ? view.problem
          : this.late
            ? words.broken
            : view.loading
              ? words.loading
              : "";
    return text ? html`<p class="notice">${text}</p>` : nothing;
  }

  /** The owner's prompts, as long as nothing was said. */
  #starters() {
    const said = this.view.unsent.length > 0 || this.view.snapshot?.items.some((i) => (i as Message).role === "user");
    const prompts = this.#perLanguage(this.site.starters) ?? [];
    if (said || this.view.loading || this.view.signInNeeded || !prompts.length) return nothing;
    return html`<div class="starters">
      ${prompts.map((prompt) => html`<button type="button" dir="auto" @click=${() => this.#conversation.say(prompt)}>${harmless(prompt)}</button>`)}
    </div>`;
  }

  #write(text: string): void {
    this.#voice.read();
    this.#conversation.say(text);
  }

  #perLanguage<T>(values: Record<string, T>): T | undefined {
    return values[this.language] ?? values["en"] ?? Object.values(values)[0];
  }

  // ---- printing

  /** One deliverable alone: its copy in a light page of its own would need its styles, so the others are hidden. */
  #print(event: Event): void {
    const element = event.composedPath()[0] as HTMLElement;
    document.documentElement.dataset["printing"] = "";
    const copy = element.cloneNode() as HTMLElement;
    Object.assign(copy, { texts: this.words, language: this.language, item: (element as unknown as { item: unknown }).item, now: this.now });
    copy.className = "printed";
    document.body.append(copy);
    const done = () => {
      copy.remove();
      delete document.documentElement.dataset["printing"];
    };
    addEventListener("afterprint", done, { once: true });
    void (copy as LitElement).updateComplete.then(() => {
      for (const folded of copy.shadowRoot!.querySelectorAll("details")) folded.open = true;
      window.print();
    });
  }
}

function initials(name: string): string {
  const words = name.trim().split(/\s+/).slice(0, 2);
  return words.map((word) => [...word][0]?.toUpperCase() ?? "").join("");
}
