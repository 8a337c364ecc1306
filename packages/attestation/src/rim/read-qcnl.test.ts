import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readQcnl } from "./read-qcnl.ts";

test("the file is the named one, else that of QCNL_CONF_PATH", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "cloister-qcnl-"));
  const before = process.env["QCNL_CONF_PATH"];
  t.after(async () => {
    if (before === undefined) delete process.env["QCNL_CONF_PATH"];
    else process.env["QCNL_CONF_PATH"] = before;
    await rm(folder, { recursive: true });
  });
  await writeFile(join(folder, "a"), "PCCS_URL=https://a/");
  await writeFile(join(folder, "b"), '{"pccs_url": "https://b/"}');
  process.env["QCNL_CONF_PATH"] = join(folder, "a");
  assert.equal((await readQcnl()).pccsUrl, "https://a/");
  assert.equal((await readQcnl(join(folder, "b"))).pccsUrl, "https://b/");
  await assert.rejects(readQcnl(join(folder, "c")), { code: "QCNL_NOT_FOUND" });
});
