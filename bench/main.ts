import { readdir } from "node:fs/promises";
import { cpus, totalmem } from "node:os";
import { pathToFileURL } from "node:url";
import { join } from "node:path";
import type { BenchRow } from "./row.ts";

// npm run bench -- AREA [--json]: runs bench/AREA.ts. Each area measures ours beside a peer or a floor, alternating in one run.

const folder = import.meta.dirname;
const NOT_AREAS = new Set(["main.ts", "row.ts", "measure.ts"]);

async function listAreas(): Promise<string[]> {
  const names = await readdir(folder);
  return names.filter((name) => /^[a-z-]+\.ts$/.test(name) && !NOT_AREAS.has(name)).map((name) => name.slice(0, -3));
}

function machine() {
  const [first] = cpus();
  return {
    cpu: first?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  };
}

function print(rows: readonly BenchRow[]): void {
  for (const { case: name, unit, ours, peer, peerName, ratio } of rows) {
    const cells = [
      name.padEnd(34),
      round(ours).padStart(10),
      unit.padEnd(8),
      round(peer).padStart(10),
      peerName.padEnd(34),
    ];
    console.log(`${cells.join("  ")}  ${ratio.toFixed(2)}`);
  }
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

const args = process.argv.slice(2);
const json = args.includes("--json");
const area = args.find((argument) => !argument.startsWith("--"));
const areas = await listAreas();
if (area === undefined || !areas.includes(area)) {
  console.error(`usage: npm run bench -- AREA [--json], where AREA is one of: ${areas.join(", ")}`);
  process.exitCode = 2;
} else {
  const { run } = (await import(pathToFileURL(join(folder, `${area}.ts`)).href)) as { run: () => Promise<BenchRow[]> };
  const rows = await run();
  if (json) console.log(JSON.stringify({ area, machine: machine(), rows }));
  else print(rows);
}
