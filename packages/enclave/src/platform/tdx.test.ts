import assert from "node:assert/strict";
import { copyFile, mkdir, mkdtemp, readdir, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { appraise, parseQuote } from "@cloister/attestation";
import { startAttestationFolder } from "../testing/attestation-folder.ts";
import { openPlatform } from "./open-platform.ts";
import { TdxDriver } from "./tdx.ts";

const reportData = (byte: number): Uint8Array => new Uint8Array(64).fill(byte);
const NOWHERE = "/no/such/folder";

test("a guest's driver is found by its provider, and gives quotes over what it is asked for", async (t) => {
  const { folder, platform } = await startAttestationFolder(t, "tdx");
  const tdx = { folder: dirname(folder), entry: basename(folder) };
  const driver = await openPlatform("auto", { gramineFolder: NOWHERE, tdx });
  assert.deepEqual({ name: driver.name, simulated: driver.simulated }, { name: "tdx", simulated: false });
  const quotes = await Promise.all([1, 2].map((byte) => driver.quote(reportData(byte))));
  for (const [index, quote] of quotes.entries()) {
    assert.deepEqual(parseQuote(quote).body.report.reportData, reportData(index + 1));
    appraise({ quote }, platform.collateralFor(quote), [platform.trustAnchor], new Date());
  }
});

test("each quote has an entry of its own, which is gone afterwards", async (t) => {
  const { folder } = await startAttestationFolder(t, "tdx");
  const base = join(dirname(folder), "report");
  await mkdir(base);
  // What the kernel does for the making of a folder: its attributes are there.
  const made: string[] = [];
  const maker = {
    make: async (path: string) => {
      made.push(path);
      await symlink(folder, path);
    },
    remove: unlink,
  };
  const driver = new TdxDriver({ folder: base, maker });
  await driver.quote(reportData(1));
  await driver.quote(reportData(2));
  assert.equal(new Set(made).size, 2);
  assert.deepEqual(await readdir(base), []);
});

test("a guest of another kind is no TDX guest", async (t) => {
  const { folder } = await startAttestationFolder(t, "tdx");
  await writeFile(join(folder, "provider"), "sev_guest\n");
  const tdx = { folder: dirname(folder), entry: basename(folder) };
  await assert.rejects(openPlatform("tdx", { tdx }), { code: "PLATFORM_NOT_FOUND" });
});

test("an entry that others write to, and one without a quote, are PLATFORM_QUOTE_FAILED", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "tsm-"));
  t.after(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, "entry"));
  await writeFile(join(folder, "entry/inblob"), "");
  await writeFile(join(folder, "entry/generation"), "7\n");
  const driver = new TdxDriver({ folder, entry: "entry" });
  await assert.rejects(driver.quote(reportData(1)), { code: "PLATFORM_QUOTE_FAILED" });
  // The count never moves on: somebody else's write took its place.
  await copyFile(join(folder, "entry/inblob"), join(folder, "entry/outblob"));
  await assert.rejects(driver.quote(reportData(1)), { code: "PLATFORM_QUOTE_FAILED" });
});
