// Folds what stands in the input, for the server's tests to compare with: lines of {"start": snapshot, "watched": [...],
// "every": whether each snapshot on the way is wanted, too}; a line of snapshots for each.

import { createInterface } from "node:readline";
import { fold } from "../src/state.ts";
import type { Snapshot, Watched } from "../src/types.ts";

interface Task {
  start: Snapshot;
  watched: Watched[];
  every: boolean;
}

for await (const line of createInterface({ input: process.stdin })) {
  const { start, watched, every } = JSON.parse(line) as Task;
  const out: Snapshot[] = [];
  let snapshot = start;
  for (const event of watched) {
    snapshot = fold(snapshot, event);
    if (every) out.push(snapshot);
  }
  console.log(JSON.stringify(every ? out : [snapshot]));
}
