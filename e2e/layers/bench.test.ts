import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import type { BenchRow } from "../../bench/row.ts";
import { ROOT } from "../support/chain.ts";

// Every benchmark that needs only npm, once and small: a measurement that nobody runs breaks unseen. What it measures is not
// looked at here, only that there is a figure beside each peer.

const SMALL = {
  CLOISTER_BENCH_ROUNDS: "1",
  CLOISTER_BENCH_ENTRIES: "2000",
  CLOISTER_BENCH_REPLICAS: "50",
  BENCH_SIZES_MIB: "8",
};
/** Needs a cluster; test:kubernetes has it. */
const ELSEWHERE = new Set(["cluster"]);

const areas = (await readdir(join(ROOT, "bench")))
  .filter((name) => /^[a-z-]+\.ts$/.test(name) && name !== "main.ts" && name !== "row.ts")
  .map((name) => name.slice(0, -".ts".length))
  .filter((area) => !ELSEWHERE.has(area));

describe("npm run bench", () => {
  for (const area of areas) {
    test(`${area} gives its rows as JSON`, async () => {
      const args = [join(ROOT, "bench/main.ts"), area, "--json"];
      const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, ...SMALL } });
      const report = JSON.parse(stdout) as { area: string; rows: BenchRow[] };
      assert.equal(report.area, area);
      assert.ok(report.rows.length > 0);
      for (const { case: name, ours, peer, ratio } of report.rows) {
        for (const figure of [ours, peer, ratio]) assert.ok(Number.isFinite(figure) && figure > 0, `${area}: ${name}`);
      }
    });
  }
});
