// What a screen reader hears: of an answer that is being written whole sentences, each once, never tokens; and all words one
// after the other.

/** Ends of sentences; in languages that write no blanks after them, too. */
const END = /[.!?…]["'”’)\]]*(?=\s)|[。！？؟]|\n\n/g;
/** A long sentence is not waited for. */
const LONGEST = 400;
/** How long words stay in the live region. */
const SPOKEN_MS = 150;

export class Sentences {
  #message = "";
  #said = 0;

  /** What is to be said now of the message as far as it is written. */
  take(message: string, text: string, finished: boolean): string {
    if (message !== this.#message) {
      this.#message = message;
      this.#said = 0;
    }
    const fresh = text.slice(this.#said);
    const end = finished ? fresh.length : lastEnd(fresh);
    this.#said += end;
    return fresh.slice(0, end).trim();
  }
}

/** What the live region holds: a screen reader hears what changes in it, and two changes at once would be one. */
export class Announcer {
  spoken = "";
  readonly #waiting: string[] = [];
  #saying = false;

  constructor(readonly changed: () => void) {}

  say(words: string): void {
    if (!words) return;
    this.#waiting.push(words, ""); // emptied between two, so that the same words again are news
    if (!this.#saying) this.#next();
  }

  #next(): void {
    const words = this.#waiting.shift();
    this.#saying = words !== undefined;
    if (words === undefined) return;
    this.spoken = words;
    this.changed();
    setTimeout(() => this.#next(), words ? SPOKEN_MS : 0);
  }
}

function lastEnd(text: string): number {
  let end = 0;
  for (const match of text.matchAll(END)) end = match.index + match[0].length;
  return end || (text.length > LONGEST ? text.lastIndexOf(" ") + 1 || text.length : 0);
}
