import { collectGarbage } from "../../garbage.ts";
import { libc } from "./libc.ts";

/** So late that the first requests of a model do not wait for it, and what loaded it has let go of its files. */
const DELAY_MS = 500;

/** One pause for several loads that follow each other. */
let timer: NodeJS.Timeout | undefined;

/**
 * Frees what loading a model left behind: several times its weights. V8 would keep its part for long, since the heap that it watches is
 * small beside the arrays; ONNX Runtime's part is free, but lies scattered in the C library's heaps.
 */
export function collectGarbageSoon(): void {
  clearTimeout(timer);
  timer = setTimeout(() => void collectAll(), DELAY_MS).unref();
}

async function collectAll(): Promise<void> {
  // Only as a last resort does V8 make its heap smaller at once too. It takes twice as long, some 60 ms.
  collectGarbage?.({ type: "major", execution: "sync", flavor: "last-resort" });
  (await libc())?.trim(0);
}
