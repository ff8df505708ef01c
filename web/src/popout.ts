// A window of its own goes on with the conversation of the frame that opened it. Browsers keep a frame's storage apart from
// that of the same address in a window, so the frame hands over what it keeps: to its own origin alone, to that window alone.

import type { Kept } from "./storage.ts";

type Said = { parley: 1; type: "popout" | "kept"; kept?: Kept };

const WAIT_MS = 500;

/** Those that were opened here, and what each is told when it asks. */
const windows = new Map<unknown, () => Kept>();

/** Who was here has gone: their windows, too. */
export function closeWindows(): void {
  for (const one of windows.keys()) (one as Window).close();
  windows.clear();
}

/** Opens the window, and answers when it asks. */
export function popOut(address: string, kept: () => Kept): void {
  for (const one of windows.keys()) if ((one as Window).closed) windows.delete(one);
  const opened = window.open(address, "_blank", "popup,width=480,height=720");
  if (opened) windows.set(opened, kept); // else the browser or the page around does not allow it
  addEventListener("message", answer); // the same one again is one
}

function answer({ source, origin, data }: MessageEvent<Said | null>): void {
  const kept = windows.get(source);
  if (!kept || origin !== location.origin || data?.type !== "popout") return;
  (source as Window).postMessage({ parley: 1, type: "kept", kept: kept() } satisfies Said, origin);
}

/** What the opener keeps; nothing, where nobody of ours has opened this window. */
export function handedOver(): Promise<Kept | undefined> {
  const opener = window.opener as Window | null;
  if (!opener || window.parent !== window) return Promise.resolve(undefined);
  return new Promise((done) => {
    const hear = (event: MessageEvent<Said | null>) => {
      if (event.source !== opener || event.origin !== location.origin || event.data?.type !== "kept") return;
      end(event.data.kept);
    };
    const end = (kept?: Kept) => {
      removeEventListener("message", hear);
      clearTimeout(timer);
      done(kept);
    };
    const timer = setTimeout(end, WAIT_MS);
    addEventListener("message", hear);
    try {
      opener.postMessage({ parley: 1, type: "popout" } satisfies Said, location.origin);
    } catch {
      end(); // gone
    }
  });
}
