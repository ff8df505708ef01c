// Arguments as they stand in JSON, to the last digit: a number that JavaScript would round is kept as it is written.

const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;

/** The fields of an object; what is none has one field without a name. */
export function fields(text: string): Record<string, unknown> {
  try {
    const kept = text.replace(TOKENS, (token) => (token[0] === '"' || String(Number(token)) === token ? token : JSON.stringify(token)));
    const value: unknown = JSON.parse(kept);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // not JSON
  }
  return { "": text };
}

/** An object's fields as they stand in its JSON, to be sent as they came. */
function sources(text: string): Map<string, string> {
  const out = new Map<string, string>();
  let [depth, from, name] = [0, 0, undefined as string | undefined];
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]/g)) {
    if (depth === 1 && (token === "," || token === "}") && name !== undefined) {
      out.set(name, text.slice(from, index).trim());
      name = undefined;
    }
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (depth === 1 && token === ":") from = index + 1;
    else if (depth === 1 && name === undefined && token[0] === '"') name = JSON.parse(token) as string;
  }
  return out;
}

/** The JSON of an object with some fields written anew. What was a text, or nothing, is one; else JSON, if it can be read as such. */
export function rewritten(text: string, written: Record<string, string>): string {
  const out = sources(text);
  for (const [name, value] of Object.entries(written)) {
    const wasText = /^["n]|^$/.test(out.get(name) ?? "");
    out.set(name, !wasText && readable(value) ? value.trim() : JSON.stringify(value));
  }
  return `{${[...out].map(([name, source]) => `${JSON.stringify(name)}:${source}`).join()}}`;
}

function readable(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
