// RFC 6902, as far as the server's shared state is changed by it: add, replace, remove, test.

export interface Operation {
  op: string;
  path: string;
  value?: unknown;
}

type Node = Record<string, unknown> | unknown[];

/** A new document; the given one stays as it is. Throws where the path leads nowhere. */
export function patched<T>(document: T, operations: readonly Operation[]): T {
  let out: unknown = document;
  for (const operation of operations) out = changed(out, keys(operation.path), operation);
  return out as T;
}

function keys(path: string): string[] {
  return path.split("/").slice(1).map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function changed(node: unknown, path: string[], operation: Operation): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return operation.op === "remove" ? null : operation.value;
  if (typeof node !== "object" || node === null) throw new Error(`there is no ${operation.path}`);
  if (rest.length) return put(node as Node, key, changed((node as Record<string, unknown>)[key], rest, operation));
  if (operation.op === "remove") return without(node as Node, key);
  return Array.isArray(node) && operation.op === "add" ? inserted(node, key, operation.value) : put(node as Node, key, operation.value);
}

function put(node: Node, key: string, value: unknown): Node {
  if (!Array.isArray(node)) return { ...node, [key]: value };
  return node.map((old, n) => (n === Number(key) ? value : old));
}

function without(node: Node, key: string): Node {
  if (Array.isArray(node)) return node.filter((_, n) => n !== Number(key));
  const { [key]: _gone, ...rest } = node;
  return rest;
}

function inserted(list: unknown[], key: string, value: unknown): unknown[] {
  const place = key === "-" ? list.length : Number(key);
  return [...list.slice(0, place), value, ...list.slice(place)];
}
