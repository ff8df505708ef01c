// As much of a browser as the parts without a screen need: Node has fetch and streams, and lacks these.

let events = new EventTarget();

class Shelf implements Storage {
  readonly #kept = new Map<string, string>();
  [name: string]: unknown;

  get length(): number {
    return this.#kept.size;
  }

  key(n: number): string | null {
    return [...this.#kept.keys()][n] ?? null;
  }

  getItem(key: string): string | null {
    return this.#kept.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    this.#kept.set(key, value);
    this[key] = value; // so that Object.keys names it, as a browser's does
  }

  removeItem(key: string): void {
    this.#kept.delete(key);
    delete this[key];
  }

  clear(): void {
    for (const key of [...this.#kept.keys()]) this.removeItem(key);
  }
}

const page = Object.assign(new EventTarget(), { visibilityState: "visible", hidden: false });

export const browser = { online: true };

function define(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

for (const name of ["addEventListener", "removeEventListener", "dispatchEvent"] as const) {
  define(name, (...call: unknown[]) => (events[name] as (...call: unknown[]) => unknown)(...call));
}
define("document", page);
define("localStorage", new Shelf());
define("navigator", {
  get onLine() {
    return browser.online;
  },
});

/** The machine's connection goes, or comes back. */
export function connection(online: boolean): void {
  browser.online = online;
  dispatchEvent(new Event(online ? "online" : "offline"));
}

/** Every page is closed: nobody listens any more. */
export function closeAll(): void {
  events = new EventTarget();
}
