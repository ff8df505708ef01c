// A call as the customer sees it: what it is now, and what each thing that happens makes of it. Pure.

export interface Caption {
  id: string;
  who: "user" | "agent";
  text: string;
}

/** What the customer is told of a call; each is a text in every language. */
export type Note =
  | "callEnded"
  | "callTakenOver"
  | "callLost"
  | "callUnavailable"
  | "callElsewhere"
  | "micDenied"
  | "micMissing";

export interface Call {
  /** `over`: there is a note to be read; else it is as if there had been none. */
  place: "off" | "explaining" | "connecting" | "on" | "over";
  /** The voice session, once the server has given one. */
  session: string;
  agent: "listening" | "thinking" | "speaking";
  muted: boolean;
  /** The line has broken, and may come back. */
  broken: boolean;
  /** The browser lets nothing be heard before another click. */
  silent: boolean;
  /** What is being said, one of each side at most. What was said stands in the thread. */
  captions: readonly Caption[];
  note: Note | "";
  /** The server's own words on it, which count over the note: they were said aloud, too, where that was possible. */
  words: string;
}

export type Happening =
  | { type: "asked"; known: boolean }
  | { type: "declined" }
  | { type: "agreed" }
  | { type: "invited"; session: string }
  | { type: "agent"; state: string }
  | { type: "muted"; muted: boolean }
  | { type: "broken"; broken: boolean }
  | { type: "silent"; silent: boolean }
  | { type: "caption"; caption: Caption }
  | { type: "landed" }
  | { type: "mode"; mode: string; session?: string; reason?: string; aloud?: string }
  | { type: "ended"; note: Note }
  | { type: "read" };

export const QUIET: Call = {
  place: "off",
  session: "",
  agent: "listening",
  muted: false,
  broken: false,
  silent: false,
  captions: [],
  note: "",
  words: "",
};

/** How a call ended, as the log has it; all else is a line that broke. */
const REASONS: Record<string, Note> = { left: "callEnded", taken_over: "callTakenOver" };

/** Whether the microphone may be open. */
export function live(call: Call): boolean {
  return call.place === "connecting" || call.place === "on";
}

export function next(call: Call, e: Happening): Call {
  switch (e.type) {
    case "asked":
      return live(call) ? call : { ...QUIET, place: e.known ? "connecting" : "explaining" };
    case "agreed":
      return call.place === "explaining" ? { ...QUIET, place: "connecting" } : call;
    case "declined":
      return call.place === "explaining" ? QUIET : call;
    case "read":
      if (call.place === "over") return QUIET;
      return call.words ? { ...call, words: "" } : call;
    case "mode":
      return changed(call, e);
    case "ended":
      return live(call) || call.place === "explaining" ? over(call, e.note) : call;
    default:
      return live(call) ? during(call, e) : call;
  }
}

function during(call: Call, e: Happening): Call {
  switch (e.type) {
    case "invited":
      return { ...call, session: e.session };
    case "agent":
      return acted(call, e.state);
    case "muted":
      return { ...call, muted: e.muted };
    case "broken":
      return { ...call, broken: e.broken };
    case "silent":
      return { ...call, silent: e.silent };
    case "caption":
      return { ...call, captions: [...without(call, e.caption.who), e.caption].sort(agentLast) };
    case "landed":
      return { ...call, captions: without(call, "user") };
    default:
      return call;
  }
}

/** What the agent has said to its end stands in the thread by then. */
function acted(call: Call, state: string): Call {
  if (state === "") return { ...call, place: "connecting", agent: "listening" };
  if (state !== "listening" && state !== "thinking" && state !== "speaking") return call;
  const captions = call.agent === "speaking" && state !== "speaking" ? without(call, "agent") : call.captions;
  return { ...call, place: "on", agent: state, captions };
}

/** The log's word on it counts over what the line made one think. */
function changed(call: Call, e: Happening & { type: "mode" }): Call {
  if (!call.session || e.session !== call.session) return call;
  const words = e.aloud ?? "";
  if (e.mode !== "text") return live(call) ? { ...call, words: words || call.words } : call;
  const note = REASONS[e.reason ?? "left"] ?? "callLost";
  if (live(call)) return { ...over(call, note), words };
  return call.place === "over" && call.note === "callLost" ? { ...call, note, words } : call;
}

/** The session stays known: the log may say more of it. */
function over(call: Call, note: Note): Call {
  return { ...QUIET, place: "over", session: call.session, note };
}

function without(call: Call, who: Caption["who"]): Caption[] {
  return call.captions.filter((caption) => caption.who !== who);
}

function agentLast(a: Caption, b: Caption): number {
  return Number(a.who === "agent") - Number(b.who === "agent");
}

/** The state in a word: a key of the texts. */
export function word(call: Call): "connecting" | "reconnecting" | "muted" | "listening" | "thinking" | "speaking" {
  if (call.place !== "on") return "connecting";
  if (call.broken) return "reconnecting";
  return call.muted && call.agent === "listening" ? "muted" : call.agent;
}

/** What a screen reader is told of a change; the rest is heard, or stands in the thread. */
export function news(before: Call, after: Call): Note | "connecting" | "reconnecting" | "callOn" | "words" | "" {
  if (after.words && after.words !== before.words) return "words";
  if (after.note && after.note !== before.note) return after.note;
  if (!live(after)) return "";
  if (!live(before)) return "connecting";
  if (after.broken !== before.broken && after.place === "on") return after.broken ? "reconnecting" : "callOn";
  return before.place === "connecting" && after.place === "on" ? "callOn" : "";
}
