import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
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

/** Runs an area; each row of it has its figures. */
async function rowsOf(area: string, settings: Readonly<Record<string, string>> = {}): Promise<readonly BenchRow[]> {
  const args = [join(ROOT, "bench/main.ts"), area, "--json"];
  const env = { ...process.env, ...SMALL, ...settings };
  const { stdout } = await promisify(execFile)(process.execPath, args, { env });
  const report = JSON.parse(stdout) as { area: string; rows: BenchRow[] };
  assert.equal(report.area, area);
  assert.ok(report.rows.length > 0);
  for (const { case: name, ours, peer, ratio } of report.rows) {
    for (const figure of [ours, peer, ratio]) assert.ok(Number.isFinite(figure) && figure > 0, `${area}: ${name}`);
  }
  return report.rows;
}

describe("npm run bench", () => {
  for (const area of areas) {
    test(`${area} gives its rows as JSON`, async () => {
      await rowsOf(area);
    });
  }

  test("protected-files takes a stock tool into its turns, here our drop-in for it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "stock-"));
    try {
      const tool = join(folder, "gramine-sgx-pf-crypt");
      const program = `'${process.execPath}' '${join(ROOT, "packages/cli/src/main.ts")}' seal pf-crypt`;
      // The stock tool overwrites unasked.
      await writeFile(tool, `#!/bin/sh\nmode=$1\nshift\nexec ${program} "$mode" --force "$@"\n`, { mode: 0o755 });
      const peers = (await rowsOf("protected-files", { PF_CRYPT_STOCK: tool })).map(({ peerName }) => peerName);
      assert.equal(peers.filter((name) => name === "gramine-sgx-pf-crypt encrypt").length, 2);
      assert.equal(peers.filter((name) => name === "gramine-sgx-pf-crypt decrypt").length, 2);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
