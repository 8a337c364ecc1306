import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createSimulatedPlatform, type SimulatedPlatform } from "@cloister/attestation/simulated";
import { passphraseFromFile, passphraseProtection } from "@cloister/broker";
import { type BrokerError, provision } from "@cloister/broker/client";
import { type BrokerService, startBrokerService } from "@cloister/broker/service";
import { readStoreSettings } from "@cloister/broker/store";
import { buildCsr } from "@cloister/encoding/x509-builder";
import { createTestAuthority } from "../../packages/broker/src/testing/authority.ts";
import { servingSecrets, sgxIdentity, testPolicyDocument } from "../../packages/broker/src/testing/policy.ts";
import { createEnclave, MRENCLAVE } from "../../packages/broker/src/testing/stock-client.ts";
import { runCli } from "../support/cli.ts";
import { startPostgres } from "../support/postgres.ts";

// The service that `cloister broker` runs, twice on one database, with the operator's commands beside it.

const SERVER_NAME = "broker.test";
const serving = generateKeyPairSync("ec", { namedCurve: "P-256" });
const csr = buildCsr({ subject: [["CN", "replica"]], ...serving });

function policyText(platform: SimulatedPlatform, mrenclave: Uint8Array): string {
  const overrides = { identities: [sgxIdentity(mrenclave)], secrets: servingSecrets(1) };
  return JSON.stringify(testPolicyDocument(platform, overrides));
}

async function setUp(t: TestContext) {
  const database = await startPostgres(t);
  const folder = await mkdtemp(join(tmpdir(), "shared-service-"));
  t.after(() => rm(folder, { recursive: true }));
  const platform = createSimulatedPlatform({ now: new Date() });
  const passphraseFile = join(folder, "passphrase");
  await writeFile(passphraseFile, "four words of nonsense\n", { mode: 0o600 });
  const url = `postgresql:///postgres?host=${database.folder}&user=cloister`;
  const ownerKey = generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "der" });
  const start = async (name: string): Promise<BrokerService> => {
    const service = await startBrokerService({
      listen: { host: "127.0.0.1", port: 0 },
      stateDir: join(folder, name),
      protection: passphraseProtection(await passphraseFromFile(passphraseFile)),
      policyFile: join(folder, `${name}.json`),
      store: await readStoreSettings({ url }),
      serverNames: [SERVER_NAME],
      collateral: (quote) => Promise.resolve(platform.collateralFor(quote)),
      anchors: [platform.trustAnchor],
      clientCa: createTestAuthority().certificatePem,
      bundles: { bundle: () => Promise.resolve({ manifest: Buffer.from('{"files":[]}'), ownerKey }) },
    });
    t.after(() => service.close(100));
    return service;
  };
  return { folder, platform, start, commands: ["--store", url, "--passphrase-file", passphraseFile], url };
}

test("two services on one store have one authority, one log key, one policy and the keys that commands make", async (t) => {
  const { folder, platform, start, commands, url } = await setUp(t);
  for (const name of ["a", "b"]) await writeFile(join(folder, `${name}.json`), policyText(platform, MRENCLAVE));
  const [a, b] = await Promise.all([start("a"), start("b")]);
  assert.equal(a.authority, b.authority);
  assert.equal(a.logKey, b.logKey);

  const made = await runCli("broker", "keys", "create", "digits/1", ...commands);
  assert.equal(made.code, 0, made.stderr);
  const logKey = createPublicKey(a.logKey);
  const ask = async (service: BrokerService) => {
    const { privateKey, certificateDer } = await createEnclave(platform);
    const broker = { host: "127.0.0.1", port: service.address.port, serverName: SERVER_NAME };
    return provision({ brokers: [broker], ca: a.authority, csr, privateKey, certificateDer, logKey });
  };
  const [first, second] = [await ask(a), await ask(b)];
  assert.deepEqual(first.wrapKey.reveal(), second.wrapKey.reveal());
  assert.equal(second.logProof.leafIndex, first.logProof.leafIndex + 1);

  // One broker's file changes: the other one follows.
  await writeFile(join(folder, "a.json"), policyText(platform, new Uint8Array(32).fill(9)));
  assert.equal(await a.reloadPolicy(), true);
  await sleep(1000);
  for (const service of [a, b]) {
    await assert.rejects(ask(service), (error: BrokerError) => {
      assert.deepEqual(error.refusedFor, ["MEASUREMENT_NOT_ALLOWED"]);
      return true;
    });
  }
  await writeFile(join(folder, "b.json"), "{}");
  assert.equal(await b.reloadPolicy(), false);

  // A broker that starts with an old file takes the policy that is active.
  await writeFile(join(folder, "late.json"), policyText(platform, MRENCLAVE));
  await assert.rejects(ask(await start("late")), { code: "PROVISIONING_REFUSED" });

  const log = ["--store", url, "--log-key", join(folder, "a", "log-key.pem"), "--origin", `${SERVER_NAME}/release-log`];
  const verified = await runCli("log", "verify", ...log, "--json");
  assert.equal(verified.code, 0, verified.stderr);
  assert.equal((JSON.parse(verified.stdout) as { size: number }).size, 5);
  const shown = await runCli("log", "show", ...log);
  assert.match(shown.stdout + shown.stderr, /MEASUREMENT_NOT_ALLOWED/);
  const current = join(folder, "a.json");
  const planned = await runCli("policy", "plan", join(folder, "late.json"), "--current", current, ...log, "--json");
  assert.equal(planned.code, 0, planned.stderr);
  assert.ok((JSON.parse(planned.stdout) as { replayed: number }).replayed > 0);
  const proved = await runCli("log", "prove", "1", ...log);
  assert.equal(proved.code, 0, proved.stderr);
});
