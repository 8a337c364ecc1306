import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { quotedPlatform } from "../collateral/quoted-platform.ts";
import { writeSet } from "./collateral-files.ts";
import { copySets, readSets } from "./collateral-folder.ts";
import { loadCase } from "./testing/dcap-bundle.ts";

const BUNDLE = loadCase("sgx-00606a-2025-08/valid");
const OTHER = loadCase("sgx-00a067-config-sw/valid");

test("sets are listed with their dates and verdicts, and only those that verify are copied", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "cloister-folder-"));
  t.after(() => rm(root, { recursive: true }));
  const [from, to] = [join(root, "from"), join(root, "to")];
  const key = (quote: Uint8Array) => ({ platform: quotedPlatform(quote), update: "standard" as const });
  await writeSet(from, key(BUNDLE.quote), BUNDLE.collateral);
  await writeSet(from, key(OTHER.quote), OTHER.collateral);
  await writeFile(join(from, "tdx-000000000000-platform-early.json"), "{}");
  await writeFile(join(from, "notes.txt"), "");
  const sets = await copySets(from, to, BUNDLE.anchors, BUNDLE.time);
  assert.deepEqual(
    sets.map(({ platform, code }) => [platform?.fmspc, code]),
    [
      ["00606a000000", null],
      ["00a067110000", "PCK_CRL_EXPIRED"],
      ["000000000000", "COLLATERAL_MALFORMED"],
    ],
  );
  assert.equal(sets[0]?.items.length, 4);
  assert.equal(sets[1]?.items.length, 4);
  assert.deepEqual(await readdir(to), ["sgx-00606a000000-platform-standard.json"]);
  const [copied] = await readSets(join(to, "sgx-00606a000000-platform-standard.json"), BUNDLE.anchors, BUNDLE.time);
  assert.equal(copied?.code, null);
});

test("a path that is not there is refused", async () => {
  await assert.rejects(readSets("/nonexistent/x", BUNDLE.anchors, BUNDLE.time), { code: "COLLATERAL_NOT_FOUND" });
});
