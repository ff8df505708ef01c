// The customer's voice in their conversation: whether it can be had, the way into a call, and out of it again.

import { kinds } from "parley:deliverables";
import { Refusal, type Ticket } from "./api.ts";
import { type Call, type Happening, live, next, type Note, QUIET } from "./call.ts";
import type { Conversation } from "./conversation.ts";
import type { Line } from "./livekit.ts";
import type { Watched } from "./types.ts";

/** How long the server's word on voice counts. */
const ASK_AGAIN_MS = 60_000;
/** So long a call waits for the agent. */
const AGENT_MS = 30_000;
/** It was told once in this browser what happens. */
const KNOWN = ":talked";
const WANTED: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

export class Voice {
  call: Call = QUIET;
  #offered = false;
  #asked = 0;
  #askedFor: string | undefined;
  #microphone: MediaStreamTrack | undefined;
  #line: Line | undefined;
  #era = 0; // rises with each call, and when one ends
  #hangUp: (() => void) | undefined;
  #talksIn: string | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly conversation: Conversation,
    readonly changed: (before: Call) => void,
  ) {
    addEventListener("pagehide", () => this.end());
  }

  // ---- whether it can be had

  /** The microphone is offered. */
  get offered(): boolean {
    return this.#offered && !live(this.call) && this.call.place !== "explaining";
  }

  /** The customer speaks somewhere else; a call here takes that one's place. */
  get elsewhere(): boolean {
    const mode = this.conversation.view.snapshot?.mode ?? "text";
    return mode !== "text" && !live(this.call);
  }

  /** Asks the server, when its last word is old or was about another conversation. */
  async ask(): Promise<void> {
    const { id, site, api } = this.conversation;
    const fresh = Date.now() - this.#asked < ASK_AGAIN_MS && id === this.#askedFor;
    if (!site.voice || !possible() || fresh || live(this.call)) return;
    [this.#asked, this.#askedFor] = [Date.now(), id];
    try {
      this.#offered = (await api.voice(site.key, id)).available;
    } catch {
      this.#offered = false;
    }
    this.changed(this.call);
  }

  // ---- into a call

  /** The microphone was clicked. What happens then is explained once. */
  talk(): void {
    const known = this.conversation.storage.read(KNOWN) === true && !this.elsewhere;
    this.#take({ type: "asked", known });
    if (known) void this.#start();
  }

  agree(): void {
    this.conversation.storage.write(KNOWN, true);
    this.#take({ type: "agreed" });
    void this.#start();
  }

  decline(): void {
    this.#take({ type: "declined" });
  }

  async #start(): Promise<void> {
    const era = ++this.#era;
    this.#talksIn = this.conversation.id;
    try {
      const loading = import("./livekit.ts");
      loading.catch(() => undefined); // awaited below, when the microphone is there
      if (!(await this.#open(era))) return;
      const ticket = await this.#invited(era);
      const { Line } = await loading;
      if (era !== this.#era) return;
      this.#line = new Line(this.#microphone!, WANTED, kinds, this.#told(era));
      await this.#line.join(ticket);
    } catch (error) {
      if (era === this.#era) this.#over(noteOf(error));
    }
  }

  /** The microphone; false when the call was given up before the customer allowed it. */
  async #open(era: number): Promise<boolean> {
    const [track] = (await navigator.mediaDevices.getUserMedia({ audio: WANTED })).getAudioTracks();
    if (era === this.#era) this.#microphone = track;
    else track!.stop();
    return era === this.#era;
  }

  async #invited(era: number): Promise<Ticket> {
    const invited = await this.conversation.invite();
    if (era !== this.#era) invited.hangUp();
    else {
      this.#hangUp = invited.hangUp;
      this.#talksIn = invited.conversation;
      this.#take({ type: "invited", session: invited.session });
      this.follow(); // it may be another one by now
    }
    return invited;
  }

  #told(era: number) {
    const take = (happening: Happening) => era === this.#era && this.#take(happening);
    return {
      agent: (state: string) => take({ type: "agent", state }),
      broken: (broken: boolean) => take({ type: "broken", broken }),
      silent: (silent: boolean) => take({ type: "silent", silent }),
      muted: (muted: boolean) => take({ type: "muted", muted }),
      caption: (caption: { id: string; who: "user" | "agent"; text: string }) => take({ type: "caption", caption }),
      show: async (kind: string, payload: string) => era === this.#era && this.#show(kind, payload),
      left: () => void (era === this.#era && this.#over("callLost")),
    };
  }

  /** What the agent shows while it speaks: the card that the feed brings, too, and once. */
  async #show(kind: string, payload: string): Promise<boolean> {
    try {
      const told = JSON.parse(payload) as { deliverable: string; version: number; kind: string };
      return told.kind === kind && (await this.conversation.shows(told));
    } catch {
      return false;
    }
  }

  // ---- in a call

  heard(event: Watched): void {
    if (event.type === "message.added" && event["mode"] === "voice") this.#take({ type: "landed" });
    if (event.type === "mode.changed") {
      const { mode, session, reason, aloud } = event;
      this.#take({ type: "mode", mode, session, reason, aloud });
    }
  }

  /** The conversation is another one now, or nobody's: what is said here is not meant for it. */
  follow(): void {
    if (live(this.call) && this.#talksIn && this.conversation.id !== this.#talksIn) this.end();
  }

  async mute(muted: boolean): Promise<void> {
    this.#take({ type: "muted", muted });
    try {
      await this.#line?.mute(muted);
    } catch (error) {
      this.#over(noteOf(error)); // the microphone is gone
    }
  }

  async devices(): Promise<{ id: string; name: string }[]> {
    const all = await navigator.mediaDevices.enumerateDevices();
    return all.filter((one) => one.kind === "audioinput").map((one) => ({ id: one.deviceId, name: one.label }));
  }

  get device(): string {
    return this.#line?.device ?? "";
  }

  async use(device: string): Promise<void> {
    await this.#line?.use(device).catch((error: unknown) => this.#over(noteOf(error)));
    this.changed(this.call);
  }

  sound(): void {
    this.#line?.sound().catch(() => undefined); // the button stays
  }

  levels(): [number, number] {
    return this.#line?.levels() ?? [0, 0];
  }

  // ---- out of it

  end(): void {
    if (live(this.call)) this.#over("callEnded");
    else this.decline();
  }

  /** The note on how it ended was seen. */
  read(): void {
    this.#take({ type: "read" });
  }

  #over(note: Note): void {
    this.#asked = 0;
    this.#take({ type: "ended", note });
    void this.ask();
  }

  #take(happening: Happening): void {
    const before = this.call;
    this.call = next(before, happening);
    if (this.call === before) return;
    if (live(before) && !live(this.call)) this.#close();
    this.#time();
    this.changed(before);
  }

  /** The microphone is off before anything else. */
  #close(): void {
    this.#era++;
    this.#microphone?.stop();
    this.#line?.leave();
    this.#hangUp?.();
    this.#microphone = this.#line = this.#hangUp = this.#talksIn = undefined;
  }

  #time(): void {
    const waits = this.call.place === "connecting" && this.call.session !== "";
    if (!waits) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    } else this.#timer ??= setTimeout(() => this.#over("callUnavailable"), AGENT_MS);
  }
}

/** This browser has microphones, and the page around lets the chat have one. */
function possible(): boolean {
  const policy = (document as { featurePolicy?: { allowsFeature(name: string): boolean } }).featurePolicy;
  return !!navigator.mediaDevices && "RTCPeerConnection" in window && (policy?.allowsFeature("microphone") ?? true);
}

/** What can't be helped here, and what may be better later. */
function noteOf(error: unknown): Note {
  if (error instanceof Refusal && error.status === 409) return "callElsewhere";
  const { name } = error as Error;
  if (name === "NotAllowedError" || name === "SecurityError") return "micDenied";
  const microphone = ["NotFoundError", "OverconstrainedError", "NotReadableError", "AbortError"].includes(name);
  return microphone ? "micMissing" : "callUnavailable";
}
