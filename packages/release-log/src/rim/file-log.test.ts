import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fromUtf8 } from "@cloister/encoding";
import { checkpointLine } from "../log-line.ts";
import { CheckpointSigner, verifyCheckpoint } from "../checkpoint.ts";
import { encodeLogEntry, type LogEntry } from "../entry.ts";
import { EMPTY_ROOT } from "../merkle.ts";
import { verifyContinuation, verifyLogProof } from "../proof.ts";
import { openReleaseLog, openStoredLog } from "./file-log.ts";
import { type LogStorage, openFileStorage } from "./storage.ts";
import { verifyReleaseLogFile } from "./verify-file.ts";

const { privateKey: signingKey, publicKey } = generateKeyPairSync("ed25519");
const origin = "test/log";

const entry = (i: number): LogEntry => ({
  time: new Date(Date.UTC(2026, 0, 1) + i).toISOString(),
  decision: i % 3 === 0 ? "refused" : "released",
  codes: i % 3 === 0 ? ["MEASUREMENT_NOT_ALLOWED"] : [],
  workload: "digits",
  rule: "workloads.digits.identities.0",
  keyId: `key/${i}`,
  claims: { tee: "sgx", tcbStatus: "UpToDate" },
  claimsSha256: "ab".repeat(32),
  policySha256: "cd".repeat(32),
  peerKeySha256: "ef".repeat(32),
  simulated: true,
});

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "release-log-"));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

async function filled(t: TestContext, count: number): Promise<string> {
  const path = join(await folder(t), "log");
  const log = await openReleaseLog({ path, origin, signingKey });
  for (let i = 0; i < count; i += 1) await log.append(entry(i));
  await log.close();
  return path;
}

const reopen = async (path: string): Promise<{ size: number; tornBytes: number }> => {
  const log = await openReleaseLog({ path, origin, signingKey });
  const { size, tornBytes } = log;
  await log.close();
  return { size, tornBytes };
};

test("an appended entry comes back with a proof that verifies, also after opening the log again", async (t) => {
  const path = join(await folder(t), "log");
  const first = await openReleaseLog({ path, origin, signingKey });
  const proofs = await Promise.all(Array.from({ length: 50 }, (_, i) => first.append(entry(i))));
  for (const [i, proof] of proofs.entries()) {
    assert.equal(
      JSON.stringify(verifyLogProof(proof, { publicKey, origin }).entry),
      fromUtf8(encodeLogEntry(entry(i))),
    );
  }
  const older = verifyCheckpoint(first.checkpoint, { publicKey, origin });
  await first.close();

  const second = await openReleaseLog({ path, origin, signingKey });
  assert.equal(second.size, 50);
  await second.append(entry(50));
  const newer = verifyCheckpoint(second.checkpoint, { publicKey, origin });
  verifyContinuation(older, newer, second.consistencyPath(older.size));
  const proof = await second.prove(7);
  assert.equal(verifyLogProof(proof, { publicKey }).entry.keyId, "key/7");
  const read: string[] = [];
  for await (const { index, entry } of second.entries(48)) read.push(`${index} ${entry.keyId}`);
  assert.deepEqual(read, ["48 key/48", "49 key/49", "50 key/50"]);
  await second.close();
});

test("appends that arrive together share one checkpoint", async (t) => {
  const path = join(await folder(t), "log");
  const log = await openReleaseLog({ path, origin, signingKey });
  const proofs = await Promise.all(Array.from({ length: 200 }, (_, i) => log.append(entry(i))));
  assert.equal(new Set(proofs.map((proof) => proof.checkpoint)).size, 1);
  await log.close();
});

test("every possible cut of the last write is recovered to the checkpoint before it", async (t) => {
  const path = await filled(t, 2);
  const two = await readFile(path);
  const log = await openReleaseLog({ path, origin, signingKey });
  await Promise.all([log.append(entry(2)), log.append(entry(3))]);
  await log.close();
  const four = await readFile(path);
  for (let length = two.length; length < four.length; length += 13) {
    await writeFile(path, four.subarray(0, length));
    assert.deepEqual(await reopen(path), { size: 2, tornBytes: length - two.length });
    assert.deepEqual(await readFile(path), two);
  }
  await writeFile(path, four);
  assert.deepEqual(await reopen(path), { size: 4, tornBytes: 0 });
});

test("a tail of zeros or of garbage is cut off, and the log goes on", async (t) => {
  const path = await filled(t, 3);
  for (const tail of [
    Buffer.alloc(5000),
    Buffer.from("{}"),
    Buffer.from('{"x":1}\nxx\n'),
    Buffer.alloc(3_000_000, 0x41),
  ]) {
    await appendFile(path, tail);
    assert.deepEqual(await reopen(path), { size: 3, tornBytes: tail.length });
  }
});

test("a changed byte above the newest checkpoint is LOG_CORRUPT, wherever it is", async (t) => {
  const path = await filled(t, 4);
  const good = await readFile(path);
  const lastLine = good.lastIndexOf(0x0a, good.length - 2) + 1;
  for (let at = 0; at < lastLine; at += 37) {
    const bad = Buffer.from(good);
    bad[at] = bad[at]! ^ 1;
    await writeFile(path, bad);
    // Older checkpoints are looked at one by one only on request; every entry is under the newest.
    const options = { origin, publicKey, everyCheckpoint: true };
    await assert.rejects(verifyReleaseLogFile(path, options), (error: { code: string }) =>
      ["LOG_CORRUPT", "LOG_SIGNATURE_INVALID", "LOG_CHECKPOINT_MALFORMED", "LOG_ENTRY_MALFORMED"].includes(error.code),
    );
  }
});

test("an entry removed, doubled or moved is LOG_CORRUPT", async (t) => {
  const path = await filled(t, 4);
  const lines = (await readFile(path, "utf8")).split("\n");
  const variants = [
    lines.toSpliced(1, 1),
    lines.toSpliced(1, 0, lines[1]!),
    lines.with(1, lines[3]!).with(3, lines[1]!),
  ];
  for (const variant of variants) {
    await writeFile(path, variant.join("\n"));
    await assert.rejects(openReleaseLog({ path, origin, signingKey }), { code: "LOG_CORRUPT" });
  }
});

test("a log cut back to an older checkpoint opens, but does not continue a newer checkpoint kept elsewhere", async (t) => {
  const path = await filled(t, 2);
  const { length } = await readFile(path);
  const log = await openReleaseLog({ path, origin, signingKey });
  await log.append(entry(2));
  const seen = log.checkpoint;
  await log.close();
  await truncate(path, length);
  assert.equal((await verifyReleaseLogFile(path, { origin, publicKey })).size, 2);
  await assert.rejects(verifyReleaseLogFile(path, { origin, publicKey, seen }), { code: "LOG_FORKED" });
});

test("the log of another key or another name is LOG_SIGNATURE_INVALID", async (t) => {
  const path = await filled(t, 1);
  const other = generateKeyPairSync("ed25519");
  await assert.rejects(openReleaseLog({ path, origin, signingKey: other.privateKey }), {
    code: "LOG_SIGNATURE_INVALID",
  });
  await assert.rejects(openReleaseLog({ path, origin: "test/other", signingKey }), {
    code: "LOG_SIGNATURE_INVALID",
    madeAs: origin,
  });
});

test("a file that is not a log is refused and left as it is", async (t) => {
  const path = join(await folder(t), "notes.txt");
  await writeFile(path, "dear diary\n");
  await assert.rejects(openReleaseLog({ path, origin, signingKey }), { code: "LOG_CORRUPT" });
  assert.equal(await readFile(path, "utf8"), "dear diary\n");
});

test("a log that is open is LOG_LOCKED for a second opener, and free after a close", async (t) => {
  const path = await filled(t, 1);
  const log = await openReleaseLog({ path, origin, signingKey });
  await assert.rejects(openReleaseLog({ path, origin, signingKey }), { code: "LOG_LOCKED" });
  await log.close();
  assert.equal((await reopen(path)).size, 1);
});

test("a malformed entry is refused before anything is written", async (t) => {
  const path = await filled(t, 0);
  const log = await openReleaseLog({ path, origin, signingKey });
  await assert.rejects(log.append({ ...entry(0), time: "yesterday" }), { code: "LOG_ENTRY_MALFORMED" });
  await assert.rejects(log.append({ ...entry(0), secret: "x" } as LogEntry), { code: "LOG_ENTRY_MALFORMED" });
  assert.equal(log.size, 0);
  await log.close();
  await assert.rejects(log.append(entry(0)), { code: "LOG_CLOSED" });
});

async function onDisk(t: TestContext, faults: Partial<LogStorage>): ReturnType<typeof openStoredLog> {
  const path = join(await folder(t), "log");
  const signer = new CheckpointSigner(origin, signingKey, createPublicKey(signingKey));
  await writeFile(path, checkpointLine(signer.sign({ size: 0, root: EMPTY_ROOT })));
  const storage = await openFileStorage(path);
  const log = await openStoredLog({ ...storage, ...faults }, { origin, publicKey, signer });
  t.after(() => log.close());
  return log;
}

test("on a full disk the append fails, the log stays whole, and it goes on when there is room", async (t) => {
  const path = await filled(t, 1);
  const storage = await openFileStorage(path);
  let isFull = true;
  const full: LogStorage = {
    ...storage,
    async write(position, bytes) {
      // Half of the batch reaches the disk before it is full.
      await storage.write(position, isFull ? bytes.subarray(0, bytes.length / 2) : bytes);
      if (isFull) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    },
  };
  const signer = new CheckpointSigner(origin, signingKey, publicKey);
  const log = await openStoredLog(full, { origin, publicKey, signer });
  const results = await Promise.allSettled([log.append(entry(1)), log.append(entry(2))]);
  assert.deepEqual(
    results.map((result) => result.status === "rejected" && (result.reason as { code: string }).code),
    ["LOG_WRITE_FAILED", "LOG_WRITE_FAILED"],
  );
  isFull = false;
  verifyLogProof(await log.append(entry(3)), { publicKey });
  await log.close();
  assert.equal((await verifyReleaseLogFile(path, { origin, publicKey })).size, 2);
});

test("after a failed fsync nothing more is taken", async (t) => {
  const log = await onDisk(t, { sync: () => Promise.reject(new Error("I/O error")) });
  assert.equal(log.isBroken, false);
  await assert.rejects(log.append(entry(0)), { code: "LOG_BROKEN" });
  assert.equal(log.isBroken, true);
  await assert.rejects(log.append(entry(1)), { code: "LOG_BROKEN" });
  assert.equal(log.size, 0);
});

test("an append does not resolve before the fsync", async (t) => {
  const started = Promise.withResolvers<undefined>();
  const finished = Promise.withResolvers<undefined>();
  const log = await onDisk(t, {
    async sync() {
      started.resolve(undefined);
      await finished.promise;
    },
  });
  let isDone = false;
  const append = log.append(entry(0)).then(() => {
    isDone = true;
  });
  await started.promise;
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(isDone, false);
  finished.resolve(undefined);
  await append;
  assert.equal(isDone, true);
});

test("kill -9 in the middle of appends loses no acknowledged entry and leaves a log that verifies", async (t) => {
  const path = join(await folder(t), "log");
  const pem = signingKey.export({ type: "pkcs8", format: "pem" }) as string;
  const script = `
    import { createPrivateKey } from "node:crypto";
    import { openReleaseLog } from ${JSON.stringify(new URL("file-log.ts", import.meta.url).href)};
    const log = await openReleaseLog({ path: ${JSON.stringify(path)}, origin: "test/log", signingKey: createPrivateKey(${JSON.stringify(pem)}) });
    const entry = ${JSON.stringify(entry(1))};
    const one = async () => { const proof = await log.append(entry); process.stdout.write(proof.leafIndex + "\\n"); };
    for (;;) await Promise.all([one(), one(), one()]);
  `;
  for (let round = 0; round < 3; round += 1) {
    const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    while (output.length < 400) await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill("SIGKILL");
    await once(child, "close");
    const acknowledged = output.split("\n").slice(0, -1).map(Number);
    const { size } = await verifyReleaseLogFile(path, { origin, publicKey });
    assert.ok(size > Math.max(...acknowledged));
    await reopen(path);
  }
});
