// @copilotkit/core holds a conversation with Parley: node copilotkit.mjs ADDRESS
import assert from "node:assert/strict";

globalThis.window = { location: { origin: process.argv[2] } }; // it asks no server for agents unless it is in a page
const { CopilotKitCore } = await import("@copilotkit/core");

const address = process.argv[2];
const started = await fetch(`${address}/conversations`, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: "{}",
}).then((answer) => answer.json());
const headers = { Authorization: `Bearer ${started.token}` };
const picked = [];

// The least of a Standard JSON Schema.
const COLORS = {
  "~standard": {
    version: 1,
    vendor: "tests",
    validate: (value) => ({ value }),
    jsonSchema: { input: () => ({ type: "object", properties: { colors: { type: "array", items: { type: "string" } } } }) },
  },
};

function coreOf() {
  const core = new CopilotKitCore({ runtimeUrl: `${address}/copilotkit`, runtimeTransport: "rest", headers });
  core.addTool({
    name: "pickColor",
    description: "Let the customer pick a colour.",
    parameters: COLORS,
    handler: async (args) => { picked.push(args); return "blue"; },
  });
  return core;
}

async function agentOf(core, threadId) {
  for (let tries = 0; !core.getAgent("default") && tries < 200; tries++) await new Promise((done) => setTimeout(done, 20));
  const agent = core.getAgent("default");
  assert.ok(agent, "the runtime's info names an agent `default`");
  agent.threadId = threadId;
  return agent;
}

async function say(core, agent, text, subscriber) {
  agent.addMessage({ id: crypto.randomUUID(), role: "user", content: text });
  const watching = subscriber && agent.subscribe(subscriber);
  await core.runAgent({ agent });
  watching?.unsubscribe();
}

const last = (agent) => agent.messages.at(-1);

async function text(core, agent) {
  await say(core, agent, "hello");
  assert.equal(last(agent).content, "You said: hello");
}

async function serverTool(core, agent) {
  await say(core, agent, "lookup");
  assert.equal(last(agent).content, "It says: answer: 42");
}

async function clientTool(core, agent) {
  await say(core, agent, "client");
  assert.deepEqual(picked.splice(0), [{ colors: ["red", "blue"] }]);
  assert.equal(last(agent).content, "It says: blue");
}

async function deliverable(core, agent) {
  await say(core, agent, "alert");
  const card = agent.messages.find((m) => m.role === "activity");
  assert.equal(card.content.payload.title, "Maintenance");
}

async function interrupt(core, agent) {
  await say(core, agent, "lock");
  assert.equal(agent.pendingInterrupts.length, 1);
  const resume = [{ interruptId: agent.pendingInterrupts[0].id, status: "resolved", payload: { approved: true } }];
  await core.runAgent({ agent, resume });
  assert.equal(last(agent).content, "It says: locked 4711");
}

async function stop(core, agent) {
  let heard = 0;
  await say(core, agent, "long", { onTextMessageContentEvent: () => { if (++heard === 5) core.stopAgent({ agent }); } });
  const kept = last(agent).content;
  assert.ok(kept.startsWith("word0 word1 ") && !kept.includes("word99"), kept);
}

// A page that is loaded anew: same thread, nothing in memory, in the middle of an answer.
async function reconnect(core, agent) {
  let heard = 0;
  let interrupted;
  const begun = new Promise((done) => { interrupted = done; });
  void say(core, agent, "long", { onTextMessageContentEvent: () => { if (++heard === 5) interrupted(); } });
  await begun;
  const other = coreOf();
  const fresh = await agentOf(other, agent.threadId);
  await other.connectAgent({ agent: fresh });
  const words = Array.from({ length: 100 }, (_, n) => `word${n} `).join("");
  assert.equal(last(fresh).content, words);
  assert.equal(fresh.messages[0].content, "hello");
  assert.deepEqual(picked, [], "a tool that was answered is not run again");
}

const core = coreOf();
const agent = await agentOf(core, crypto.randomUUID());
for (const step of [text, serverTool, clientTool, deliverable, interrupt, stop, reconnect]) {
  await step(core, agent);
  console.log(`ok ${step.name}`);
}
process.exit(0);
