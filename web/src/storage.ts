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
  /** Where nothing is written, and nothing is believed: the page's memory is all there is. */
  #apart = false;

  constructor(site: string) {
    this.#key = `parley:${site}`;
  }

  get kept(): Kept {
    return (this.read("") ?? {}) as Kept;
  }

  keep(kept: Kept): void {
    this.write("", kept);
  }

  /** What is kept belongs to another window, and leaves with it. */
  setApart(): void {
    this.#apart = true;
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
    if (this.#apart) return void this.#memory.set(this.#key + name, text);
    try {
      localStorage.setItem(this.#key + name, text);
      this.#memory.delete(this.#key + name);
    } catch {
      this.#memory.set(this.#key + name, text); // full, or not allowed
    }
  }

  /** Nothing of this site is left. */
  clear(): void {
    this.#memory.clear();
    if (this.#apart) return;
    try {
      const ours = Object.keys(localStorage).filter((key) => this.#ours(key));
      for (const key of ours) localStorage.removeItem(key);
    } catch {
      // there was nothing
    }
  }

  /** Another tab changed something. */
  watch(told: () => void): void {
    addEventListener("storage", (event) => {
      if (!this.#apart && (event.key === null || this.#ours(event.key))) told();
    });
  }

  /** Another site's key may begin with this one's. */
  #ours(key: string): boolean {
    return key === this.#key || key.startsWith(`${this.#key}:`);
  }

  /** What could not be written is newer than what is there. */
  #get(key: string): string | null {
    try {
      return this.#memory.get(key) ?? (this.#apart ? null : localStorage.getItem(key));
    } catch {
      return null;
    }
  }
}
