import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { BenchRow } from "./row.ts";

/**
 * A real two-node cluster on this machine (e2e/kubernetes, built before with `e2e/kubernetes/build`, as root): the way from a scale-up to
 * the first answer beside the same replica as a process, and requests through the gateway beside requests to the pods.
 */
export async function run(): Promise<BenchRow[]> {
  const main = join(import.meta.dirname, "../e2e/kubernetes/main.ts");
  const child = spawn(process.execPath, [main, "measure"], { stdio: ["ignore", "pipe", "inherit"] });
  const closed = once(child, "close") as Promise<[number | null]>;
  const output = await text(child.stdout);
  const [code] = await closed;
  if (code !== 0) throw new Error("the cluster was not measured; what was missing is said above");
  return JSON.parse(output) as BenchRow[];
}
