// The conversation as it stands: a pure fold of its events, the same as agent_core/snapshot.py (a test compares them).
//
// What an event speaks of may lie before the page that was loaded: then there is nothing to change here.

import { type Operation, patched } from "./patch.ts";
import type { Deliverable, Interrupt, Item, Message, Snapshot, Tool, Watched } from "./types.ts";

export function empty(conversation: string): Snapshot {
  return {
    conversation,
    version: "0",
    site: "",
    team: "",
    agent: "",
    mode: "text",
    model: null,
    language: null,
    customer: null,
    forked_from: null,
    items: [],
    draft: null,
    turn: null,
    open: [],
    state: {},
    floor: { holder: "agent", name: null },
    usage: {
      turns: 0,
      requests: 0,
      input_tokens: 0,
      cached_tokens: 0,
      output_tokens: 0,
      cost_microdollars: 0,
      unpriced: 0,
    },
    last_turn: null,
  };
}

/** A new snapshot: `s` with one more thing watched. A type that a newer server has changes nothing but the version. */
export function fold(s: Snapshot, e: Watched): Snapshot {
  switch (e.type) {
    case "reset":
      return e.snapshot;
    case "text.delta":
      return { ...s, draft: grown(s, e), version: `${e.seq}.${e.offset + characters(e.text)}` };
    default:
      return { ...applied(s, e), version: String(e.seq) };
  }
}

/** Code points, as the server counts; a JavaScript string counts halves of them. */
export function characters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

function grown(s: Snapshot, e: Watched): Snapshot["draft"] {
  const before = s.draft?.message === e.message ? s.draft!.text : "";
  return { message: e.message, turn: e.turn, agent: e.agent, text: head(before, e.offset) + e.text };
}

function head(text: string, length: number): string {
  // Most often the delta begins where the text ends, and nothing is to be counted.
  if (text.length <= length) return text;
  return characters(text) === length ? text : [...text].slice(0, length).join("");
}

function applied(s: Snapshot, e: Watched): Snapshot {
  switch (e.type) {
    case "conversation.started":
      return {
        ...s,
        site: e.site,
        team: e.team,
        agent: e.agent,
        mode: e.mode ?? "text",
        language: e.language ?? null,
        forked_from: e.forked_from ?? null,
      };
    case "message.added":
      return added(s, messageAdded(e));
    case "turn.started":
      return { ...s, turn: { id: e.turn, status: "running" } };
    case "turn.resumed":
      return { ...s, turn: { id: e.turn, status: "running" }, draft: null };
    case "turn.waiting":
      return { ...s, turn: { id: e.turn, status: "waiting" } };
    case "turn.finished":
      return turnFinished(s, e);
    case "message.finished":
      return added({ ...s, draft: null }, messageFinished(e));
    case "message.heard":
      return changed<Message>(s, "message", e.message, { heard: e.text });
    case "tool.called":
      return added(s, toolCalled(e));
    case "tool.finished":
      return changed<Tool>(s, "tool", e.call, { status: e.status, output: e.output, milliseconds: e.milliseconds ?? 0 });
    case "agent.changed":
      return added(
        { ...s, agent: e.agent },
        { kind: "handoff", id: e.call ?? null, before: e.before, agent: e.agent, turn: e.turn, at: e.at },
      );
    case "deliverable.shown":
      return shown(s, e);
    case "deliverable.acknowledged":
      return changed<Deliverable>(s, "deliverable", e.deliverable, (d) =>
        d.version === e.version ? { acknowledged: true } : {},
      );
    case "deliverable.decided":
      return changed<Deliverable>(s, "deliverable", e.deliverable, { status: e.decision, answer: e.answer ?? null });
    case "interrupt.opened":
      return added({ ...s, open: [...s.open, e.interrupt] }, interruptOpened(e));
    case "interrupt.decided":
      return interruptDecided(s, e);
    case "state.changed":
      return { ...s, state: patched(s.state, e.patch as Operation[]) };
    case "floor.changed": {
      const name = e.name ?? null;
      return added(
        { ...s, floor: { holder: e.holder, name } },
        { kind: "floor", id: null, holder: e.holder, name, at: e.at },
      );
    }
    case "usage.counted":
      return { ...s, usage: counted(s.usage, e) };
    case "feedback.given":
      return changed<Message>(s, "message", e.message, { rating: e.rating });
    case "customer.identified":
      return { ...s, customer: e.name ?? null };
    case "setting.changed":
      return { ...s, [e.name]: e.value };
    case "mode.changed":
      return { ...s, mode: e.mode };
    default:
      return s;
  }
}

// ---- items from events

function messageAdded(e: Watched): Message {
  const mode = e.mode && e.mode !== "text" ? e.mode : undefined;
  const told = { turn: e.turn, author: e.author, mode, client_message_id: e.client_message_id };
  return { kind: "message", id: e.message, role: e.role, text: e.text, status: "complete", ...given(told), at: e.at };
}

function messageFinished(e: Watched): Message {
  const status = e.status ?? "complete";
  return { kind: "message", id: e.message, role: "agent", text: e.text, status, turn: e.turn, agent: e.agent, at: e.at };
}

function toolCalled(e: Watched): Tool {
  const known = { kind: "tool" as const, id: e.call, tool: e.tool, title: e.title ?? null, arguments: e.arguments };
  return { ...known, status: "running", turn: e.turn, calls: e.kind ?? "tool", at: e.at };
}

function interruptOpened(e: Watched): Interrupt {
  return {
    kind: "interrupt",
    id: e.interrupt,
    reason: e.reason ?? "confirmation",
    tool: e.tool,
    title: e.title ?? null,
    arguments: e.arguments,
    editable: e.editable ?? [],
    ...given({ labels: e.labels, shown: e.shown }),
    expires_at: e.expires_at,
    status: "open",
    turn: e.turn,
    call: e.call,
    at: e.at,
  };
}

function interruptDecided(s: Snapshot, e: Watched): Snapshot {
  const edited = given({ arguments: e.arguments, title: e.title });
  let call = "";
  const asked = changed<Interrupt>(s, "interrupt", e.interrupt, (i) => {
    call = i.call;
    return { status: e.decision, by: e.by ?? null, ...edited };
  });
  return { ...changed<Tool>(asked, "tool", call, edited), open: s.open.filter((id) => id !== e.interrupt) };
}

function shown(s: Snapshot, e: Watched): Snapshot {
  const now = {
    version: e.version,
    type: e.kind,
    payload: e.payload,
    status: "shown",
    answers: e.answers ?? [],
    expires_at: e.expires_at ?? null,
    turn: e.turn,
    call: e.call,
    acknowledged: false,
    answer: null,
  };
  if (!found(s, "deliverable", e.deliverable)) {
    return added(s, { kind: "deliverable", id: e.deliverable, versions: [], ...now, at: e.at });
  }
  return changed<Deliverable>(s, "deliverable", e.deliverable, (d) => {
    const { version, payload, status, expires_at } = d;
    return { ...now, versions: [...d.versions, { version, payload, status, expires_at }] };
  });
}

function turnFinished(s: Snapshot, e: Watched): Snapshot {
  const { type: _type, seq: _seq, at: _at, ...last } = e;
  const usage = counted({ ...s.usage, turns: s.usage["turns"]! + 1 }, e);
  return { ...s, turn: null, draft: null, last_turn: last as unknown as Snapshot["last_turn"], usage };
}

function counted(usage: Record<string, number>, e: Watched): Record<string, number> {
  const out = { ...usage };
  for (const name of ["requests", "input_tokens", "cached_tokens", "output_tokens"]) out[name]! += e[name] ?? 0;
  if (e.cost_microdollars == null) out["unpriced"]! += 1;
  else out["cost_microdollars"]! += e.cost_microdollars;
  return out;
}

// ---- lists

function added(s: Snapshot, item: Item): Snapshot {
  return { ...s, items: [...s.items, item] };
}

function found(s: Snapshot, kind: string, id: string): number | undefined {
  for (let n = s.items.length - 1; n >= 0; n--) {
    const item = s.items[n]!;
    if (item.kind === kind && item.id === id) return n + 1;
  }
  return undefined;
}

function changed<T extends Item>(
  s: Snapshot,
  kind: T["kind"],
  id: string,
  change: Partial<T> | ((item: T) => Partial<T>),
): Snapshot {
  const place = found(s, kind, id);
  if (place === undefined) return s;
  const items = s.items.slice();
  const item = items[place - 1] as T;
  items[place - 1] = { ...item, ...(typeof change === "function" ? change(item) : change) };
  return { ...s, items };
}

function given<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value != null)) as Partial<T>;
}
