import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, generateKeyPairSync, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import {
  type LogEntry,
  type ReleaseLog,
  verifyCheckpoint,
  verifyContinuation,
  verifyLogProof,
} from "@cloister/release-log";
import { openReleaseLog, verifyReleaseLogFile } from "@cloister/release-log/file";
import { startHarness } from "../../packages/broker/src/testing/harness.ts";
import { connectEnclave, createEnclave, stockProvision } from "../../packages/broker/src/testing/stock-client.ts";
import { mountSmallDisk } from "../support/small-disk.ts";

const SIZE = 200_000;
const WAVE = 2000;
const origin = "test/long";
const { privateKey: signingKey, publicKey } = generateKeyPairSync("ed25519");

const entry = (i: number): LogEntry => ({
  time: new Date(Date.UTC(2026, 0, 1) + i).toISOString(),
  decision: i % 5 === 0 ? "refused" : "released",
  codes: i % 5 === 0 ? ["MEASUREMENT_NOT_ALLOWED"] : [],
  workload: "digits",
  rule: "workloads.digits.identities.0",
  keyId: `digits/${i % 100}`,
  claims: { tee: "sgx", tcbStatus: "UpToDate", fmspc: "00606a000000", ppid: "99".repeat(16) },
  claimsSha256: "ab".repeat(32),
  policySha256: "cd".repeat(32),
  peerKeySha256: i.toString(16).padStart(64, "0"),
  simulated: true,
});

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

test(`a log of ${SIZE} entries appends, proves and verifies as fast as it should, and survives kill -9`, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "release-log-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "log");
  const log = await openReleaseLog({ path, origin, signingKey });
  const early: string[] = [];
  const perEntry: number[] = [];
  for (let i = 0; i < SIZE; i += WAVE) {
    const wave = Array.from({ length: WAVE }, (_, k) => i + k);
    perEntry.push((await milliseconds(() => Promise.all(wave.map((n) => log.append(entry(n)))))) / WAVE);
    if (i % 50_000 === 0) early.push(log.checkpoint);
  }
  const proofs: number[] = [];
  for (let i = 0; i < 300; i += 1) {
    const index = (i * 104_729) % SIZE;
    proofs.push(
      await milliseconds(async () => {
        const proof = await log.prove(index);
        assert.equal(proof.leafIndex, index);
        if (i % 50 === 0) assert.equal(verifyLogProof(proof, { publicKey }).entry.keyId, entry(index).keyId);
      }),
    );
  }
  const newest = verifyCheckpoint(log.checkpoint, { origin, publicKey });
  for (const note of early) {
    const older = verifyCheckpoint(note, { origin, publicKey });
    verifyContinuation(older, newest, log.consistencyPath(older.size));
  }
  await log.close();
  const verifyMs = await milliseconds(() => verifyReleaseLogFile(path, { origin, publicKey, seen: early[0] ?? "" }));
  t.diagnostic(
    `append ${median(perEntry).toFixed(3)} ms each, proof ${median(proofs).toFixed(3)} ms, verification ${(verifyMs / 1000).toFixed(1)} s`,
  );
  await killDuringAppends(path, SIZE);
});

/** A process of its own appends to the log until it is killed; nothing that it was told to be durable is lost. */
async function killDuringAppends(path: string, before: number): Promise<void> {
  const pem = signingKey.export({ type: "pkcs8", format: "pem" }) as string;
  const script = `
    import { createPrivateKey } from "node:crypto";
    import { openReleaseLog } from "@cloister/release-log/file";
    const [path, origin, pem, entry] = JSON.parse(process.env.CLOISTER_TEST);
    const log = await openReleaseLog({ path, origin, signingKey: createPrivateKey(pem) });
    for (;;) {
      const proofs = await Promise.all(Array.from({ length: 50 }, () => log.append(entry)));
      process.stdout.write(proofs.at(-1).leafIndex + "\\n");
    }`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, CLOISTER_TEST: JSON.stringify([path, origin, pem, entry(1)]) },
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  while (output.length < 300) await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill("SIGKILL");
  await once(child, "close");
  const acknowledged = Math.max(...output.split("\n").slice(0, -1).map(Number));
  assert.ok(acknowledged > before);
  const { size } = await verifyReleaseLogFile(path, { origin, publicKey });
  assert.ok(size > acknowledged);
  const log = await openReleaseLog({ path, origin, signingKey });
  assert.equal((await log.append(entry(2))).leafIndex, size);
  await log.close();
}

test("a broker whose disk is full releases nothing, and goes on when there is room again", async (t) => {
  const disk = await fullableLog(t);
  t.diagnostic(disk.kind);
  const { server, platform } = await startHarness(t, () => ({ log: disk.log }));
  const served: string[] = [];
  const attempt = async (): Promise<boolean> => {
    const enclave = await createEnclave(platform);
    if ((await stockProvision(await connectEnclave(server, enclave), "1.9")) === undefined) return false;
    served.push(keySha256(enclave.publicKey));
    return true;
  };
  assert.equal(await attempt(), true);
  await disk.fill();
  const full: boolean[] = [];
  for (let i = 0; i < 20; i += 1) full.push(await attempt());
  // The last page of the file may have room for a few entries more.
  assert.deepEqual([...new Set(full.slice(10))], [false]);
  await disk.makeRoom();
  assert.equal(await attempt(), true);
  assert.deepEqual((await disk.released()).sort(), served.sort());
});

interface FullableLog {
  readonly kind: string;
  readonly log: ReleaseLog;
  fill(): Promise<void>;
  makeRoom(): Promise<void>;
  /** Peer keys of the releases in the log. */
  released(): Promise<string[]>;
}

/** A log on a small disk; where nothing can be mounted, on a storage that says what a full disk says. */
async function fullableLog(t: TestContext): Promise<FullableLog> {
  const mounted = await mountSmallDisk(t, 1);
  const folder = mounted ?? (await mkdtemp(join(tmpdir(), "full-disk-")));
  const path = join(folder, "log");
  const ballast = join(folder, "ballast");
  let isFull = false;
  const log = await openReleaseLog({ path, origin, signingKey });
  if (mounted === undefined) t.after(() => rm(folder, { recursive: true }));
  t.after(() => log.close());
  const refusing: ReleaseLog = {
    get size() {
      return log.size;
    },
    get checkpoint() {
      return log.checkpoint;
    },
    append: (one) => (isFull ? Promise.reject(new Error("ENOSPC")) : log.append(one)),
    entries: (start) => log.entries(start),
    close: () => log.close(),
  };
  return {
    kind: mounted === undefined ? "injected: a storage that refuses" : "real: a tmpfs of 1 MB",
    log: mounted === undefined ? refusing : log,
    async fill() {
      isFull = true;
      await writeFile(ballast, Buffer.alloc(2 << 20)).catch(() => undefined);
    },
    async makeRoom() {
      isFull = false;
      await unlink(ballast);
    },
    async released() {
      const keys: string[] = [];
      await verifyReleaseLogFile(path, {
        origin,
        publicKey,
        onEntry: ({ decision, peerKeySha256 }) => {
          if (decision === "released" && peerKeySha256 !== null) keys.push(peerKeySha256);
        },
      });
      return keys;
    },
  };
}

function keySha256(key: KeyObject): string {
  return createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest("hex");
}
