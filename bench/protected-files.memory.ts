import { readFileSync } from "node:fs";
import process from "node:process";
import { openFileTo, readKeyFile, sealFileTo, WorkerPool } from "@cloister/protected-files/rim";

// Child of the bench: seals (or opens) one file with some workers and prints the most private memory it saw, in MiB. Private
// memory is what the process has for itself; the runtime's own program text, which all Node processes share, is not in it.

const [, , job = "", workers = "1", key = "", input = "", output = ""] = process.argv;
const { wrapKey } = await readKeyFile(key);
const pool = workers === "1" ? undefined : new WorkerPool(Number(workers));
let peakKiB = 0;

function sample(): void {
  const text = readFileSync("/proc/self/status", "utf8");
  peakKiB = Math.max(peakKiB, Number(/RssAnon:\s+(\d+)/.exec(text)?.[1]));
}

const options = { wrapKey, boundPath: "models/bench/1/model", overwrite: true, pool, onProgress: sample };
await (job === "seal" ? sealFileTo(input, output, options) : openFileTo(input, output, options));
await pool?.close();
console.log(Math.round(peakKiB / 1024));
