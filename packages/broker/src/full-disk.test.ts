import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { type TestContext, test } from "node:test";
import { verifyReleaseLogFile } from "@cloister/release-log/file";
import { startHarness } from "./testing/harness.ts";
import { connectEnclave, createEnclave, type EnclaveIdentity, stockProvision } from "./testing/stock-client.ts";

type Write = (
  buffer: Uint8Array,
  offset: number,
  length: number,
  position: number,
) => Promise<{ bytesWritten: number }>;

/** Lets files have `capacity` bytes: what fits of a write is written, then the disk is full. Returns how to make room. */
async function limitDisk(t: TestContext, path: string, capacity: number): Promise<() => void> {
  const file = await open(path, "r");
  const prototype = Object.getPrototypeOf(file) as { write: Write };
  await file.close();
  const original = prototype.write;
  let limit = capacity;
  t.mock.method(prototype, "write", function (this: FileHandle, ...args: Parameters<Write>) {
    const [buffer, offset, length, position] = args;
    const fits = Math.min(length, limit - position);
    if (fits > 0) return original.call(this, buffer, offset, fits, position);
    return Promise.reject(Object.assign(new Error("no space left on device"), { code: "ENOSPC" }));
  });
  return () => {
    limit = Number.MAX_SAFE_INTEGER;
  };
}

const keyHash = ({ publicKey }: EnclaveIdentity): string =>
  createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("hex");

test("a disk that fills up during releases leaves no key without its entry, and the broker goes on when there is room", async (t) => {
  const { server, platform, log, logPath, logPublicKey, events } = await startHarness(t);
  const makeRoom = await limitDisk(t, logPath, 12_000);
  const served: string[] = [];
  const provision = async (): Promise<boolean> => {
    const enclave = await createEnclave(platform);
    const key = await stockProvision(await connectEnclave(server, enclave), "1.9");
    if (key !== undefined) served.push(keyHash(enclave));
    return key !== undefined;
  };
  const released = async (): Promise<Set<string | null>> => {
    const keys = new Set<string | null>();
    const onEntry = (entry: { decision: string; peerKeySha256: string | null }): void => {
      if (entry.decision === "released") keys.add(entry.peerKeySha256);
    };
    await verifyReleaseLogFile(logPath, { origin: "test/broker", publicKey: logPublicKey, onEntry });
    return keys;
  };

  const first = await Promise.all(Array.from({ length: 24 }, provision));
  const count = first.filter(Boolean).length;
  assert.ok(count > 0 && count < 24, `${count} of 24 fitted`);
  assert.ok(events.some((event) => event.type === "refusal" && event.code === "LOG_UNAVAILABLE"));
  assert.ok(events.some((event) => event.type === "alarm" && event.code === "LOG_UNAVAILABLE"));
  assert.deepEqual(await released(), new Set(served));
  // Entries that were refused as a group may leave room for one of them alone.
  for (let tries = 0; await provision(); tries++) assert.ok(tries < 24, "the disk is never full");
  makeRoom();
  assert.equal(await provision(), true);
  await log.close();
  assert.deepEqual(await released(), new Set(served));
});
