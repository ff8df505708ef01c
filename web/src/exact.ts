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
