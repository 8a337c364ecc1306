import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "../support/chain.ts";

// CLOISTER_LARGE_GB=10 makes it the file of the promise; 2 GB take a minute on a slow machine and go through the same levels.
const sizeGb = process.env["CLOISTER_LARGE_GB"] ?? "2";

for (const threads of ["1", "2"]) {
  test(`a sparse file of ${sizeGb} GB is sealed, read at random offsets and re-keyed, with ${threads} threads`, () => {
    const program = join(ROOT, "bench/protected-files.large.ts");
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, sizeGb, threads], { encoding: "utf8" });
    assert.equal(status, 0, `${stdout}\n${stderr}`);
    assert.match(stdout, /most private memory: \d+ MiB/);
  });
}
