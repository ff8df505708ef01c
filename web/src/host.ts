// The page around the frame: who it is, and what the two tell each other. Only origins of the site are believed.

import type { Site } from "./types.ts";

export interface Orders {
  visible(visible: boolean): void;
  identify(identity: string): void;
  logout(): void;
  say(text: string): void;
  language(code: string): void;
  scheme(wish: string): void;
  focus(): void;
}

type Said = { parley: 1; type: string; [field: string]: unknown };

/** Whether an origin is one of these; "http://localhost:*" is any port. */
export function allowed(origin: string, origins: readonly string[]): boolean {
  return origins.some((one) =>
    one.endsWith(":*") ? origin === one.slice(0, -2) || origin.startsWith(one.slice(0, -1)) : origin === one,
  );
}

export class Host {
  #origin: string | undefined;
  unread = 0;

  constructor(
    readonly site: Site,
    readonly orders: Orders,
  ) {
    if (window.parent !== window) addEventListener("message", this.#heard);
    addEventListener("pageshow", () => this.count(this.unread)); // what is told to a page that falls asleep is lost
  }

  get framed(): boolean {
    return window.parent !== window;
  }

  tell(type: string, fields: object = {}): void {
    if (this.#origin) window.parent.postMessage({ parley: 1, type, ...fields }, this.#origin);
  }

  count(unread: number): void {
    this.unread = unread;
    this.tell("unread", { value: unread });
  }

  readonly #heard = (event: MessageEvent): void => {
    if (event.source !== window.parent || !allowed(event.origin, this.site.origins)) return;
    const said = event.data as Said | null;
    if (typeof said !== "object" || said?.parley !== 1) return;
    if (said.type === "hello") {
      this.#origin = event.origin;
      this.tell("ready", { name: this.site.name || this.site.team_label, accent: this.site.theme.accent, side: this.site.theme.side });
    }
    this.#obey(said);
  };

  #obey(said: Said): void {
    const text = typeof said["value"] === "string" ? said["value"] : "";
    switch (said.type) {
      case "visible":
        return this.orders.visible(said["value"] === true);
      case "identify":
        return this.orders.identify(text);
      case "logout":
        return this.orders.logout();
      case "say":
        return this.orders.say(text.slice(0, 16_000));
      case "language":
        return this.orders.language(text);
      case "scheme":
        return this.orders.scheme(text);
      case "focus":
        return this.orders.focus();
    }
  }
}
