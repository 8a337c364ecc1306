import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const ENTRY = join(import.meta.dirname, "in-tee.ts");

/** Exit code, and code of the last line of the log. */
function start(...words: readonly string[]): [exitCode: number | null, code: unknown] {
  const { status, stdout } = spawnSync(process.execPath, [ENTRY, ...words], { encoding: "utf8" });
  const last = stdout.trimEnd().split("\n").at(-1) ?? "";
  return [status, (JSON.parse(last) as { readonly code?: unknown }).code];
}

test("a replica inside a TEE ends with 2 where it was started wrongly, and with 1 and a code where it was refused", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "in-tee-"));
  t.after(() => rm(folder, { recursive: true }));
  const settings = join(folder, "replica.json");
  await writeFile(settings, "{}");
  assert.deepEqual(start(), [2, "USAGE"]);
  assert.deepEqual(start(settings, settings), [2, "USAGE"]);
  assert.deepEqual(start(settings), [1, "MANIFEST_INVALID"]);
});
