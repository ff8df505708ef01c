// The one line on a business's page. Draws the launcher, opens the chat in a frame of the server's own origin, and passes
// on what the page says. Works under a strict policy: no inline style or script, no eval, no HTML from text.
//
// <script src="https://parley.example/widget.js" data-site="shop" async></script>

interface Options {
  site: string;
  mode: string; // launcher | inline | none
  target: string | undefined;
  language: string | undefined;
  scheme: string | undefined;
  side: string | undefined;
  accent: string | undefined;
  open: boolean;
}

type Call = [string, unknown?, unknown?];
type Listener = (value?: unknown) => void;
interface Command {
  (...call: Call): void;
  q?: ArrayLike<unknown>[];
  loaded?: string;
}

const LABELS: Record<string, [open: string, close: string, unread: string]> = {
  en: ["Open chat", "Close chat", "unread"],
  de: ["Chat öffnen", "Chat schließen", "ungelesen"],
  es: ["Abrir el chat", "Cerrar el chat", "sin leer"],
  fr: ["Ouvrir le chat", "Fermer le chat", "non lus"],
  ar: ["فتح المحادثة", "إغلاق المحادثة", "غير مقروءة"],
};

// What the page says of our element gives way (in a shadow tree, what is important outside gives way to what is important
// inside): it must neither hide it nor become what our fixed boxes are fixed to.
const STYLE = `
:host { all: initial !important; direction: ltr !important; unicode-bidi: normal !important; }
:host(.inline) { display: block !important; height: 100% !important; }
* { box-sizing: border-box; }
button { position: fixed; z-index: 2147483000; bottom: max(20px, env(safe-area-inset-bottom)); width: 56px; height: 56px; padding: 0;
  display: grid; place-items: center; border: 2px solid transparent; border-radius: 50%; background: var(--accent, #1b1f2a); color: var(--on-accent, #fff);
  box-shadow: 0 2px 6px rgb(0 0 0 / 25%), 0 8px 24px rgb(0 0 0 / 18%); cursor: pointer; transition: transform .15s; }
button:hover { transform: scale(1.05); }
button:focus-visible { outline: 3px solid var(--accent, #1b1f2a); outline-offset: 3px; }
.right { right: max(20px, env(safe-area-inset-right)); }
.left { left: max(20px, env(safe-area-inset-left)); }
svg { width: 28px; height: 28px; fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
[aria-expanded="true"] .bubble, [aria-expanded="false"] .down { display: none; }
.badge { position: absolute; top: -4px; right: -4px; min-width: 22px; height: 22px; padding: 0 6px; border-radius: 11px; background: #b3261e; color: #fff;
  font: 700 12px/22px system-ui, sans-serif; text-align: center; }
.badge:empty { display: none; }
.panel { position: fixed; z-index: 2147483001; bottom: 88px; width: min(400px, calc(100vw - 40px)); height: min(680px, calc(100vh - 108px));
  border-radius: 16px; overflow: hidden; background: Canvas; box-shadow: 0 0 0 1px rgb(127 127 127 / 22%), 0 4px 12px rgb(0 0 0 / 15%), 0 16px 48px rgb(0 0 0 / 25%); }
.inline { width: 100%; height: 100%; min-height: 320px; }
iframe { display: block; width: 100%; height: 100%; border: 0; color-scheme: normal; }
[hidden] { display: none !important; }
@media (max-width: 520px), (max-height: 480px) {
  .panel { inset: 0; width: 100%; height: 100%; height: 100dvh; bottom: 0; border-radius: 0; }
  .panel:not([hidden]) ~ button { display: none; }
}
@media (prefers-reduced-motion: reduce) { button { transition: none; } }
@media (forced-colors: active) { button { border-color: ButtonText; } .panel { outline: 1px solid CanvasText; } }
@media print { :host { display: none !important; } }
`;

/** A frame whose files were of a build that has gone meanwhile stays empty: loaded anew it asks for those that are there. */
const EMPTY_MS = 10_000;
const TRIES = 3;

class Widget {
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #waiting: [string, unknown][] = [];
  readonly #host = document.createElement("parley-widget");
  readonly #shadow = this.#host.attachShadow({ mode: "closed" });
  readonly #panel = document.createElement("div");
  readonly #button = document.createElement("button");
  readonly #badge = document.createElement("span");
  #frame: HTMLIFrameElement | undefined;
  #ready = false; // the frame listens
  #told = false; // the page knows
  #started = false;
  #open = false;
  #unread = 0;
  #hidden = false;
  #wantsOpen: boolean;
  #tries = 0;

  constructor(
    readonly origin: string,
    readonly options: Options,
  ) {
    this.#wantsOpen = options.open;
    addEventListener("message", this.#heard);
  }

  start(): void {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    this.#shadow.adoptedStyleSheets = [sheet];
    this.#started = true;
    const inline = this.options.mode === "inline";
    this.#panel.className = inline ? "inline" : "panel";
    this.#panel.hidden = !inline;
    this.#shadow.append(this.#panel);
    if (this.options.mode === "launcher") this.#addButton();
    this.#paint(this.options.accent ?? this.#remembered(), this.options.side);
    const place = inline && this.options.target ? document.querySelector(this.options.target) : document.body;
    this.#host.classList.toggle("inline", inline);
    this.#put(place ?? document.body);
    if (inline || this.#wantsOpen) this.open();
    else this.#warmUp();
  }

  /** In the top layer: to a body that is moved or filtered, what is fixed is fixed to the body. */
  #put(place: Element): void {
    place.append(this.#host);
    if (this.options.mode === "inline" || !this.#host.showPopover) return;
    this.#host.popover = "manual";
    this.#host.showPopover();
  }

  /** A page that swaps or empties its body takes the widget with it: it comes back, and its frame loads anew. */
  #stay(): void {
    if (this.options.mode === "inline") return;
    const changes = new MutationObserver(() => {
      const { body } = document;
      if (!body) return;
      if (!this.#started) return changes.disconnect();
      changes.observe(body, { childList: true });
      if (this.#host.isConnected) return;
      this.#ready = false;
      this.#put(body);
    });
    changes.observe(document.documentElement, { childList: true });
    changes.observe(document.body, { childList: true });
  }

  #addButton(): void {
    const button = this.#button;
    button.type = "button";
    button.append(icon("bubble", "M4 5h16v11H9l-5 4z", "M8 9h8M8 12h5"), icon("down", "M6 9l6 6 6-6"), this.#badge);
    this.#badge.className = "badge";
    this.#badge.setAttribute("aria-hidden", "true");
    button.addEventListener("click", () => this.toggle());
    button.addEventListener("pointerenter", () => this.#load(), { once: true });
    this.#shadow.append(button);
    this.#label();
    this.#stay();
  }

  #label(): void {
    const language = this.options.language || document.documentElement.lang || navigator.language;
    const [open, close, unread] = LABELS[language.slice(0, 2)] ?? LABELS["en"]!;
    const name = this.#open ? close : open;
    this.#button.setAttribute("aria-label", this.#unread ? `${name} (${this.#unread} ${unread})` : name);
    this.#button.setAttribute("aria-expanded", String(this.#open));
    this.#badge.textContent = this.#unread ? String(Math.min(this.#unread, 99)) : "";
    this.#button.hidden = this.#hidden;
  }

  /** Once the page has what it needs: then the chat opens at once, and words that came meanwhile are counted. */
  #warmUp(): void {
    const load = () => this.#load();
    if ("requestIdleCallback" in window) requestIdleCallback(load, { timeout: 4000 });
    else setTimeout(load, 1500);
  }

  #load(): void {
    if (this.#frame || !this.#started) return;
    const frame = (this.#frame = document.createElement("iframe"));
    const query = new URLSearchParams({ mode: this.options.mode === "inline" ? "inline" : "panel" });
    if (this.options.language) query.set("language", this.options.language);
    if (document.documentElement.lang) query.set("page", document.documentElement.lang);
    if (this.options.scheme) query.set("scheme", this.options.scheme);
    frame.title = "Chat";
    frame.allow = "microphone; autoplay; clipboard-write";
    frame.src = `${this.origin}/widget/${encodeURIComponent(this.options.site)}?${query}`;
    frame.addEventListener("load", () => {
      this.#post("hello");
      setTimeout(() => this.#again(), EMPTY_MS * 2 ** this.#tries);
    });
    this.#panel.append(frame);
  }

  #again(): void {
    if (this.#ready || !this.#frame?.isConnected || this.#tries >= TRIES) return;
    this.#tries++;
    const { site } = this.options;
    console.warn(`parley: no chat came. Does ${this.origin} know the site "${site}", and ${location.origin} as its origin?`);
    this.#frame.src = this.#frame.src;
  }

  // ---- orders of the page

  obey(name: string, value?: unknown, listener?: unknown): void {
    switch (name) {
      case "open":
        return this.open();
      case "close":
        return this.close();
      case "toggle":
        return this.toggle();
      case "on":
        return this.#listen(String(value), listener as Listener);
      case "identify":
      case "logout":
      case "say":
      case "language":
      case "scheme":
        return this.#tell(name, value);
      case "hide":
      case "show":
        this.#hidden = name === "hide";
        if (this.#hidden) this.close();
        return this.#label();
      case "destroy":
        return this.destroy();
      default:
        console.warn(`parley: there is no ${name}`);
    }
  }

  #listen(name: string, listener: Listener): void {
    if (typeof listener !== "function") return;
    if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
    this.#listeners.get(name)!.add(listener);
  }

  #emit(name: string, value?: unknown): void {
    for (const listener of this.#listeners.get(name) ?? []) listener(value);
  }

  open(): void {
    this.#wantsOpen = true;
    if (!this.#started) return;
    this.#load();
    if (this.#open) return;
    this.#open = true;
    this.#panel.hidden = false;
    this.#label();
    this.#tell("visible", true);
    if (this.options.mode !== "inline") this.#tell("focus");
    this.#emit("open");
  }

  close(): void {
    this.#wantsOpen = false;
    if (!this.#open || this.options.mode === "inline") return;
    this.#open = false;
    this.#panel.hidden = true;
    this.#label();
    this.#tell("visible", false);
    this.#button.focus();
    this.#emit("close");
  }

  toggle(): void {
    if (this.#open) this.close();
    else this.open();
  }

  destroy(): void {
    removeEventListener("message", this.#heard);
    this.#started = false;
    this.#host.remove();
    delete (window as unknown as { parley?: Command }).parley;
  }

  // ---- the frame

  #tell(type: string, value?: unknown): void {
    if (this.#ready) this.#post(type, value);
    else this.#waiting.push([type, value]);
    // Who is here matters before anybody opens the chat.
    if (type === "identify" || type === "say") this.#load();
  }

  #post(type: string, value?: unknown): void {
    if (type === "focus") this.#frame?.focus(); // a frame can't take the focus from the page around it
    this.#frame?.contentWindow?.postMessage({ parley: 1, type, value }, this.origin);
  }

  readonly #heard = (event: MessageEvent): void => {
    if (!this.#frame || event.source !== this.#frame.contentWindow || event.origin !== this.origin) return;
    const said = event.data as { parley?: number; type?: string; value?: unknown; name?: string; accent?: string; side?: string } | null;
    if (said?.parley !== 1) return;
    if (said.type === "ready" && said.name) this.#frame.title = said.name;
    if (said.type === "ready") this.#becomeReady(said.accent, said.side);
    if (said.type === "close") this.close();
    if (said.type === "expired") this.#emit("expired");
    if (said.type === "unread") this.#count(Number(said.value) || 0);
  };

  #becomeReady(accent: string | undefined, side: string | undefined): void {
    this.#paint(this.options.accent ?? accent, this.options.side ?? side);
    this.#remember(accent);
    if (this.#ready) return;
    this.#ready = true;
    if (!this.#open) this.#post("visible", false);
    for (const [type, value] of this.#waiting.splice(0)) this.#post(type, value);
    if (!this.#told) this.#emit("ready");
    this.#told = true;
  }

  #count(unread: number): void {
    this.#unread = unread;
    this.#label();
    this.#emit("unread", unread);
  }

  // ---- looks

  #paint(accent: string | undefined, side: string | undefined): void {
    const where = side === "left" ? "left" : "right";
    this.#button.className = where;
    if (this.options.mode !== "inline") this.#panel.className = `panel ${where}`;
    if (!accent || !/^#[0-9a-f]{6}$/i.test(accent)) return;
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(accent.slice(at, at + 2), 16) / 255) as [number, number, number];
    const light = 0.2126 * r ** 2.2 + 0.7152 * g ** 2.2 + 0.0722 * b ** 2.2;
    this.#host.style.setProperty("--accent", accent);
    this.#host.style.setProperty("--on-accent", light > 0.18 ? "#000" : "#fff");
  }

  get #key(): string {
    return `parley-accent:${this.options.site}`;
  }

  #remember(accent: string | undefined): void {
    try {
      if (accent) sessionStorage.setItem(this.#key, accent);
    } catch {
      // only looks
    }
  }

  #remembered(): string | undefined {
    try {
      return sessionStorage.getItem(this.#key) ?? undefined;
    } catch {
      return undefined;
    }
  }
}

function icon(name: string, ...paths: string[]): Element {
  const make = (element: string, attributes: Record<string, string>) => {
    const out = document.createElementNS("http://www.w3.org/2000/svg", element);
    for (const [key, value] of Object.entries(attributes)) out.setAttribute(key, value);
    return out;
  };
  const svg = make("svg", { viewBox: "0 0 24 24", class: name, "aria-hidden": "true" });
  svg.append(...paths.map((d) => make("path", { d })));
  return svg;
}

(() => {
  const script = document.currentScript as HTMLScriptElement | null;
  const before = (window as unknown as { parley?: Command }).parley;
  const site = script?.dataset["site"];
  if (!script || !site) return;
  if (before?.loaded) {
    // Twice on a page is once.
    if (before.loaded !== site) console.warn(`parley: the chat of "${before.loaded}" is on this page already; "${site}" is left out`);
    return;
  }
  const origin = new URL(script.src).origin;
  const options = read(script.dataset);
  const widget = new Widget(origin, options);
  const parley: Command = (...call) => widget.obey(...call);
  parley.loaded = site;
  (window as unknown as { parley: Command }).parley = parley;
  for (const call of before?.q ?? []) widget.obey(...(Array.from(call) as Call));
  whenReady(() => widget.start());

  function read(data: DOMStringMap): Options {
    const { site = "", mode = "launcher", target, language, scheme, side, accent } = data;
    return { site, mode, target, language, scheme, side, accent, open: data["open"] !== undefined };
  }

  function whenReady(start: () => void): void {
    if (document.body) start();
    else addEventListener("DOMContentLoaded", start, { once: true });
  }
})();

