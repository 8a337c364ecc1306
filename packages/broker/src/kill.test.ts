import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { LogEntry } from "@cloister/release-log";
import { verifyReleaseLogFile } from "@cloister/release-log/file";
import { verifyStoredLog } from "./store/verify-log.ts";
import { connectEnclave, stockProvision } from "./testing/stock-client.ts";

interface Ready {
  readonly port: number;
  readonly ca: string;
  readonly enclaves: readonly { readonly certificateDer: string; readonly privateKey: string }[];
}

type Verify = (
  path: string,
  options: { origin: string; publicKey: KeyObject; onEntry: (entry: LogEntry) => void },
) => Promise<unknown>;

const ENCLAVES = 40;
const program = fileURLToPath(new URL("testing/broker-process.ts", import.meta.url));

async function killDuringReleases(t: TestContext, name: string, verify: Verify): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "broker-kill-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, name);
  const signing = generateKeyPairSync("ed25519");
  const pem = signing.privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  const child = spawn(process.execPath, [program, path, pem, String(ENCLAVES)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  const closed = once(child, "close");
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  const ready = JSON.parse(line) as Ready;

  const served: string[] = [];
  const attempts = ready.enclaves.map(async (enclave) => {
    const privateKey = createPrivateKey(enclave.privateKey);
    const publicKey = createPublicKey(privateKey);
    const identity = { privateKey, publicKey, certificateDer: Buffer.from(enclave.certificateDer, "base64") };
    const key = await stockProvision(await connectEnclave(ready, identity), "1.9");
    if (key === undefined) return;
    served.push(
      createHash("sha256")
        .update(publicKey.export({ type: "spki", format: "der" }))
        .digest("hex"),
    );
    // In the middle: some have their key, some are on the way.
    if (served.length === ENCLAVES / 4) child.kill("SIGKILL");
  });
  await Promise.allSettled(attempts);
  await closed;

  const released = new Set<string | null>();
  await verify(path, {
    origin: "test/broker",
    publicKey: signing.publicKey,
    onEntry: (entry) => released.add(entry.decision === "released" ? entry.peerKeySha256 : null),
  });
  assert.ok(served.length >= ENCLAVES / 4);
  for (const key of served) assert.ok(released.has(key), "a key went out without an entry");
}

test("kill -9 during releases leaves no key without its entry, and a log in SQLite that verifies", async (t) => {
  await killDuringReleases(t, "broker.db", (path, options) => verifyStoredLog({ path }, options));
});

test("kill -9 during releases leaves no key without its entry, and a log in a file that verifies", async (t) => {
  await killDuringReleases(t, "log", verifyReleaseLogFile);
});
