// What a browser keeps for this site. Where it keeps nothing (cookies blocked), the page's memory does, as long as it lives.

export interface Kept {
  token?: string;
  conversation?: string;
  /** The conversation's name with the server: the same one finds it again. */
  thread?: string;
  customer?: boolean;
}

export class Storage {
  readonly #key: string;
  readonly #memory = new Map<string, string>();

  constructor(site: string) {
    this.#key = `parley:${site}`;
  }

  get kept(): Kept {
    return (this.read("") ?? {}) as Kept;
  }

  keep(kept: Kept): void {
    this.write("", kept);
  }

  read(name: string): unknown {
    try {
      return JSON.parse(this.#get(this.#key + name) ?? "null");
    } catch {
      return null; // somebody else wrote there
    }
  }

  write(name: string, value: unknown): void {
    const text = JSON.stringify(value);
    this.#memory.set(this.#key + name, text);
    try {
      localStorage.setItem(this.#key + name, text);
    } catch {
      // full, or not allowed
    }
  }

  /** Nothing of this site is left. */
  clear(): void {
    this.#memory.clear();
    try {
      const ours = Object.keys(localStorage).filter((key) => key.startsWith(this.#key));
      for (const key of ours) localStorage.removeItem(key);
    } catch {
      // there was nothing
    }
  }

  /** Another tab changed something. */
  watch(told: () => void): void {
    addEventListener("storage", (event) => {
      if (event.key === null || event.key.startsWith(this.#key)) told();
    });
  }

  #get(key: string): string | null {
    try {
      return localStorage.getItem(key) ?? this.#memory.get(key) ?? null;
    } catch {
      return this.#memory.get(key) ?? null;
    }
  }
}
