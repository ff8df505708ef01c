// What travels: the server's snapshot, its events, and what a site says of itself. See agent_core/snapshot.py and events.py.

export interface Message {
  kind: "message";
  id: string;
  role: "user" | "operator" | "agent";
  text: string;
  status: string; // complete | stopped | interrupted | truncated | filtered
  at: number;
  turn?: string;
  agent?: string;
  author?: string;
  mode?: string;
  client_message_id?: string;
  heard?: string;
  rating?: string;
}

export interface Tool {
  kind: "tool";
  id: string;
  tool: string;
  title?: string;
  arguments: string;
  status: string; // running | ok | error | timeout | refused | unknown
  output?: string;
  milliseconds?: number;
  turn: string;
  calls?: string; // tool | deliverable | client
  at: number;
}

export interface Version {
  version: number;
  payload: Payload;
  status: string;
  expires_at: number | null;
}

export interface Deliverable extends Version {
  kind: "deliverable";
  id: string;
  type: string; // displayOffer, ...
  answers: string[];
  answer: Record<string, unknown> | null;
  acknowledged: boolean;
  versions: Version[];
  turn: string;
  call?: string;
  at: number;
}

export interface Interrupt {
  kind: "interrupt";
  id: string;
  reason: string; // confirmation | tool_call
  tool: string;
  title?: string;
  arguments: string;
  editable: string[];
  /** What arguments are called, and what is read in the place of their values. */
  labels?: Record<string, string>;
  shown?: Record<string, string>;
  expires_at: number;
  status: string; // open | approved | rejected | expired | withdrawn | answered
  by?: string | null;
  turn: string;
  call: string;
  at: number;
}

export interface Handoff {
  kind: "handoff";
  id: string | null;
  before: string;
  agent: string;
  turn: string | null;
  at: number;
}

export interface Floor {
  kind: "floor";
  id: null;
  holder: string; // agent | operator
  name: string | null;
  at: number;
}

export type Item = Message | Tool | Deliverable | Interrupt | Handoff | Floor;
// A deliverable's payload is as its kind says; each component knows its own.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Payload = any;

export interface Draft {
  message: string;
  turn: string;
  agent: string;
  text: string;
}

export interface LastTurn {
  turn: string;
  status: string;
  code?: string;
  aloud?: string;
  [field: string]: unknown;
}

export interface Snapshot {
  conversation: string;
  version: string;
  site: string;
  team: string;
  agent: string;
  mode: string;
  model: string | null;
  language: string | null;
  customer: string | null;
  forked_from: string | null;
  items: Item[];
  draft: Draft | null;
  turn: { id: string; status: string } | null;
  open: string[];
  state: Record<string, unknown>;
  floor: { holder: string; name: string | null };
  usage: Record<string, number>;
  last_turn: LastTurn | null;
  /** How many items come before the first one here: a long conversation is loaded in pages. */
  earlier?: number;
}

/** An event as `?format=parley` writes it: `type`, and the fields that say something. */
export interface Watched {
  type: string;
  seq: number;
  at: number;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  [field: string]: any;
}

export interface Theme {
  accent: string;
  radius: string;
  font: string | null;
  side: "left" | "right";
  scheme: "auto" | "light" | "dark";
}

export interface Site {
  key: string;
  name: string;
  team_label: string;
  language: string;
  languages: string[];
  greeting: Record<string, string>;
  starters: Record<string, string[]>;
  theme: Theme;
  origins: string[];
  identity_required: boolean;
  voice: boolean;
  demo_model: boolean;
}
