import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { libc } from "./libc.ts";

/** So late that the first requests of a model do not wait for it, and what loaded it has let go of its files. */
const DELAY_MS = 500;

/**
 * Frees what loading a model left behind: several times its weights. V8 would keep its part for long, since the heap that it watches is
 * small beside the arrays; ONNX Runtime's part is free, but lies scattered in the C library's heaps.
 */
export function collectGarbageSoon(): void {
  setTimeout(() => void collectGarbage(), DELAY_MS).unref();
}

async function collectGarbage(): Promise<void> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as ((options: object) => void) | undefined;
  // Only as a last resort does V8 make its heap smaller at once too. It takes twice as long, some 60 ms: once for each load.
  collect?.({ type: "major", execution: "sync", flavor: "last-resort" });
  (await libc())?.trim(0);
}
