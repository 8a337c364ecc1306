import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
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
  timer = setTimeout(() => void collectGarbage(), DELAY_MS).unref();
}

async function collectGarbage(): Promise<void> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as ((options: object) => void) | undefined;
  // Only as a last resort does V8 make its heap smaller at once too. It takes twice as long, some 60 ms.
  collect?.({ type: "major", execution: "sync", flavor: "last-resort" });
  (await libc())?.trim(0);
}
