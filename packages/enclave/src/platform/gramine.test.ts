import assert from "node:assert/strict";
import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { appraise, parseQuote } from "@cloister/attestation";
import { Secret, toHex } from "@cloister/encoding";
import { startAttestationFolder } from "../testing/attestation-folder.ts";
import { GramineDriver } from "./gramine.ts";
import { openPlatform } from "./open-platform.ts";

const reportData = (byte: number): Uint8Array => new Uint8Array(64).fill(byte);

async function plainFolder(t: TestContext, files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "gramine-"));
  t.after(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, "keys"));
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
}

test("the driver that is found gives quotes over what it is asked for, also to several at once", async (t) => {
  const { folder, platform } = await startAttestationFolder(t, "gramine");
  const driver = await openPlatform("auto", { gramineFolder: folder });
  assert.deepEqual({ name: driver.name, simulated: driver.simulated }, { name: "gramine", simulated: false });
  const quotes = await Promise.all([1, 2, 3].map((byte) => driver.quote(reportData(byte))));
  for (const [index, quote] of quotes.entries()) {
    assert.deepEqual(parseQuote(quote).body.report.reportData, reportData(index + 1));
  }
  const [first] = quotes;
  assert.ok(first);
  appraise({ quote: first }, platform.collateral(), [platform.trustAnchor], new Date());
});

test("a key goes to its mount in one piece", async (t) => {
  const { folder, seen, until } = await startAttestationFolder(t, "gramine");
  const key = new Secret(new Uint8Array(16).fill(7), "key");
  await new GramineDriver(folder).installKey("default", key);
  await until(1);
  assert.deepEqual(seen, [{ key: toHex(key.reveal()) }]);
});

test("a key that no mount uses, of another length or with a path for a name is refused", async (t) => {
  const driver = new GramineDriver(await plainFolder(t, {}));
  const key = (bytes: number): Secret => new Secret(new Uint8Array(bytes), "key");
  for (const [name, bytes] of [
    ["unknown", 16],
    ["default", 15],
    ["../quote", 16],
  ] as const) {
    await assert.rejects(driver.installKey(name, key(bytes)), { code: "PLATFORM_KEY_REFUSED" });
  }
});

test("no quote, garbage, too much, and a quote over other data are PLATFORM_QUOTE_FAILED", async (t) => {
  const { platform } = await startAttestationFolder(t, "gramine");
  const other = platform.quote({
    reportData: reportData(9),
    mrenclave: new Uint8Array(32),
    mrsigner: new Uint8Array(32),
  });
  for (const quote of [undefined, new Uint8Array(), new Uint8Array(500), new Uint8Array(9000), other]) {
    const folder = await plainFolder(t, { user_report_data: "", ...(quote && { quote }) });
    await assert.rejects(new GramineDriver(folder).quote(reportData(1)), { code: "PLATFORM_QUOTE_FAILED" });
  }
});

test("Gramine without attestation, and no Gramine at all, are PLATFORM_NOT_FOUND", async (t) => {
  const none = await plainFolder(t, { attestation_type: "none" });
  const tdx = { folder: join(none, "no-such-folder") };
  for (const [name, gramineFolder] of [
    ["gramine", none],
    ["auto", none],
    ["gramine", join(none, "keys")],
    ["auto", join(none, "keys")],
  ] as const) {
    await assert.rejects(openPlatform(name, { gramineFolder, tdx }), { code: "PLATFORM_NOT_FOUND" });
  }
});
