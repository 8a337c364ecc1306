import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { access, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Secret } from "@cloister/encoding";
import type { LogEntry } from "@cloister/release-log";
import { openReleaseLog } from "@cloister/release-log/file";
import { passphraseProtection } from "../keys/protection.ts";
import { verifyStoredLog } from "../store/verify-log.ts";
import { copyStore } from "./copy-store.ts";
import { openIdentity, storeIn } from "./identity.ts";

const origin = "broker.test/release-log";
const protection = passphraseProtection(new Secret(Buffer.from("correct horse battery staple"), "passphrase"));

const entry = (i: number): LogEntry => ({
  time: new Date(Date.UTC(2026, 0, 1) + i).toISOString(),
  decision: i % 3 === 0 ? "refused" : "released",
  codes: i % 3 === 0 ? ["MEASUREMENT_NOT_ALLOWED"] : [],
  workload: null,
  rule: null,
  keyId: "models/digits/1",
  claims: null,
  claimsSha256: null,
  policySha256: "cd".repeat(32),
  // A renewal has the key of an earlier release.
  peerKeySha256: (i % 50).toString(16).padStart(64, "0"),
  simulated: true,
});

/** A state folder as earlier versions made it: the keys in one file, the log in another. */
async function filesOfEarlierVersions(t: TestContext, entries: number) {
  const stateDir = await mkdtemp(join(tmpdir(), "copy-store-"));
  t.after(() => rm(stateDir, { recursive: true }));
  const { keys, signingKey } = await openIdentity({ stateDir, protection });
  await keys.generate("models/digits/1");
  const log = await openReleaseLog({ path: join(stateDir, "release.log"), origin, signingKey });
  await Promise.all(Array.from({ length: entries }, (_, i) => log.append(entry(i))));
  await log.close();
  return {
    stateDir,
    checkpoint: log.checkpoint,
    publicKey: createPublicKey(signingKey),
    key: await keys.secret("models/digits/1"),
  };
}

test("a state folder has its keys and log in a database, unless files of earlier versions are there", async (t) => {
  const { stateDir } = await filesOfEarlierVersions(t, 0);
  assert.equal(await storeIn(stateDir), undefined);
  const fresh = join(stateDir, "fresh");
  assert.deepEqual(await storeIn(fresh), { path: join(fresh, "broker.db") });
});

test("the files of earlier versions are copied to a database with every entry, checkpoint and key, and it is used from then on", async (t) => {
  const { stateDir, checkpoint, publicKey, key } = await filesOfEarlierVersions(t, 2500);
  const to = { path: join(stateDir, "broker.db") };
  const before = await readFile(join(stateDir, "release.log"));
  assert.deepEqual(await copyStore({ stateDir, protection, origin, to }), { entries: 2500 });
  assert.deepEqual(await readFile(join(stateDir, "release.log")), before);

  const store = await storeIn(stateDir);
  assert.deepEqual(store, to);
  let count = 0;
  const verified = await verifyStoredLog(to, {
    origin,
    publicKey,
    seen: checkpoint,
    onEntry: (one) => assert.deepEqual(one, entry(count++)),
  });
  assert.deepEqual(verified, { size: 2500, checkpoint });
  const copy = await openIdentity({ stateDir, protection, store: to });
  t.after(() => copy.store?.close());
  assert.deepEqual((await copy.keys.secret("models/digits/1")).reveal(), key.reveal());
  assert.ok(publicKey.equals(createPublicKey(copy.signingKey)));
});

test("nothing that is there is overwritten, and a broken log leaves no store under its name", async (t) => {
  const { stateDir } = await filesOfEarlierVersions(t, 3);
  const to = { path: join(stateDir, "broker.db") };
  const options = { stateDir, protection, origin, to };
  await assert.rejects(copyStore({ ...options, origin: "other.test/release-log" }), { code: "LOG_SIGNATURE_INVALID" });
  await assert.rejects(access(to.path));
  await copyStore(options);
  await assert.rejects(copyStore(options), { code: "STORE_OPTIONS_INVALID" });
});

test("a copy that was interrupted goes on where it stood, and one that is no beginning of the log is refused", async (t) => {
  const { stateDir } = await filesOfEarlierVersions(t, 10);
  const first = { path: join(stateDir, "broker.db") };
  await copyStore({ stateDir, protection, origin, to: first });
  const other = { path: join(stateDir, "other.db") };
  const options = { stateDir, protection, origin, store: first, to: other };
  assert.deepEqual(await copyStore(options), { entries: 10 });

  // As a copy that ended after ten entries of twelve.
  await rename(other.path, `${other.path}.new`);
  const { store, signingKey } = await openIdentity({ stateDir, protection, store: first });
  const opened = await store?.openLog({ origin, signingKey });
  for (const i of [10, 11]) await opened?.log.append(entry(i));
  await store?.close();
  assert.deepEqual(await copyStore(options), { entries: 12 });

  await rename(other.path, `${other.path}.new`);
  await assert.rejects(copyStore({ stateDir, protection, origin, to: other }), { code: "LOG_FORKED" });
});
