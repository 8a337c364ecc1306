import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, test } from "node:test";
import { promisify } from "node:util";
import { createSimulatedPlatform } from "@cloister/attestation/simulated";
import { ROOT } from "../support/chain.ts";
import { startGramineDevice } from "../support/gramine-device/start.ts";

// Needs root, FUSE and Python; without them it fails. The program that uses the files is not ours in anything but its text: it
// knows no library, and opens, reads and writes as C does.

const bytes = (...values: readonly number[]): string =>
  Buffer.concat([Buffer.from(values), Buffer.alloc(64)])
    .subarray(0, 64)
    .toString("hex");
const filled = (value: number): string => Buffer.alloc(64, value).toString("hex");
let seen: Readonly<Record<string, unknown>>;

before(async () => {
  const folder = await mkdtemp(join(tmpdir(), "cloister-device-"));
  const [platform, mrenclave] = [join(folder, "platform"), join(folder, "mrenclave")];
  await writeFile(platform, createSimulatedPlatform({ now: new Date() }).save().reveal(), { mode: 0o600 });
  await writeFile(mrenclave, "5a".repeat(32));
  const device = await startGramineDevice({ platform, mrenclave, keys: ["default", "model"] });
  try {
    const [program = "", ...words] = device.enter;
    const oracle = ["python3", join(ROOT, "e2e/support/gramine-device/attestation_files.py"), "/dev/attestation"];
    const { stdout } = await promisify(execFile)(program, [...words, ...oracle]);
    seen = JSON.parse(stdout) as Record<string, unknown>;
  } finally {
    await device.stop();
    await rm(folder, { recursive: true });
  }
});

test("the stand-in for /dev/attestation has Gramine's files, which are empty until they are read", () => {
  assert.equal(seen["type"], "dcap");
  const names = ["keys", "my_target_info", "quote", "report", "target_info", "user_report_data"];
  assert.deepEqual(seen["names"], ["attestation_type", ...names]);
  assert.deepEqual(seen["keyNames"], ["default", "model"]);
  assert.deepEqual(seen["sizes"], [0, 0, 0]);
  assert.deepEqual([seen["reportBytes"], seen["targetInfoBytes"]], [432, 512]);
});

test("report data is replaced by each write as a whole, padded and cut, and nobody else reads it back", () => {
  assert.equal(seen["readBack"], "");
  assert.equal(seen["short"], bytes(0x61, 0x62));
  assert.equal(seen["long"], Buffer.from(Array.from({ length: 64 }, (_, index) => index)).toString("hex"));
  assert.equal(seen["onHandle"], filled(3));
  assert.equal(seen["lastWriteCounts"], filled(3));
});

test("a quote is made when the file is opened, and read in pieces of any size up to its end", () => {
  assert.equal(seen["byteByByte"], filled(1));
  assert.ok(Number(seen["quoteBytes"]) > 432 && Number(seen["quoteBytes"]) <= 8192);
  assert.equal(seen["madeAtOpening"], filled(3));
  assert.equal(seen["writtenQuote"], "EACCES");
});

test("a key has sixteen bytes and a name that the manifest gave it", () => {
  assert.equal(seen["unsetKey"], "");
  assert.deepEqual([seen["shortKey"], seen["longKey"], seen["unknownKey"]], ["EACCES", "EACCES", "ENOENT"]);
  assert.equal(seen["stillUnset"], "");
  assert.equal(seen["key"], "000102030405060708090a0b0c0d0e0f");
});

test("processes do not see each other's state, threads of one do", () => {
  assert.equal(seen["child"], filled(8));
  assert.equal(seen["parentAfterChild"], filled(7));
  assert.equal(seen["childKey"], "none");
  assert.equal(seen["thread"], filled(7));
  assert.deepEqual(
    seen["processes"],
    Array.from({ length: 8 }, (_, index) => filled(index)),
  );
});
