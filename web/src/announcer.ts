// What a screen reader hears of an answer that is being written: whole sentences, each once, never tokens. Pure.

/** Ends of sentences; in languages that write no blanks after them, too. */
const END = /[.!?…]["'”’)\]]*(?=\s)|[。！？؟]|\n\n/g;
/** A long sentence is not waited for. */
const LONGEST = 400;

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

  /** It was said before this page listened. */
  skip(message: string, text: string): void {
    this.#message = message;
    this.#said = text.length;
  }
}

function lastEnd(text: string): number {
  let end = 0;
  for (const match of text.matchAll(END)) end = match.index + match[0].length;
  return end || (text.length > LONGEST ? text.lastIndexOf(" ") + 1 || text.length : 0);
}
