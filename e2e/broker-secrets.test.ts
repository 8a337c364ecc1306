import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { encodeCollateral } from "@cloister/attestation";
import { createSimulatedPlatform, type SimulatedPlatform } from "@cloister/attestation/simulated";
import { encodePem } from "@cloister/encoding/pem";
import { testPolicyDocument } from "../packages/broker/src/testing/policy.ts";
import { connectEnclave, createEnclave, stockProvision } from "../packages/broker/src/testing/stock-client.ts";
import { startVault, VAULT_TOKEN } from "../packages/broker/src/testing/vault.ts";
import { runCliIn, spawnCli } from "./support/cli.ts";
import { filesBelow, type Haystack, processesOf, spellings } from "./support/secret-search.ts";

// `cloister broker` with its key store under each kind of master key. What it prints, its state folder, its metrics, its errors and
// what the system shows of its process hold neither the wrap key nor what opens the key store.

const PASSPHRASE = "four words of nonsense";
const KEY_ID = "models/digits/1";

interface Protection {
  readonly flags: readonly string[];
  /** Flags that do not open the store. */
  readonly wrongFlags: readonly string[];
  readonly secrets: () => Readonly<Record<string, Buffer>>;
}

const secrets = (): { passphrase: Buffer } => ({ passphrase: Buffer.from(PASSPHRASE) });
const PROTECTIONS: Readonly<Record<string, (t: TestContext, folder: string) => Promise<Protection>>> = {
  "a passphrase file": async () => ({
    flags: ["--passphrase-file", "passphrase"],
    wrongFlags: ["--passphrase-file", "wrong"],
    secrets,
  }),
  "a passphrase command": async () => ({
    flags: ["--passphrase-command", "cat", "passphrase"],
    wrongFlags: ["sh", "-c", "cat passphrase >&2; exit 1"].map((word) => `--passphrase-command=${word}`),
    secrets,
  }),
  "a vault": async (t, folder) => {
    const vault = await startVault(t);
    await writeFile(join(folder, "token"), VAULT_TOKEN, { mode: 0o600 });
    await writeFile(join(folder, "vault-ca.pem"), vault.ca);
    const address = ["--vault-url", vault.url, "--vault-key", "cloister", "--vault-ca", "vault-ca.pem"];
    return {
      flags: [...address, "--vault-token-file", "token"],
      wrongFlags: [...address, "--vault-token-file", "wrong"],
      secrets: () => ({
        token: Buffer.from(VAULT_TOKEN),
        ...Object.fromEntries(vault.plaintexts.map((key, i) => [`plaintext ${i} of the vault`, key])),
      }),
    };
  },
};

for (const [name, protect] of Object.entries(PROTECTIONS)) {
  test(`a broker under ${name} shows no secret`, async (t) => {
    const { folder, platform } = await setUp(t);
    const { flags, wrongFlags, secrets } = await protect(t, folder);
    const haystacks: Haystack[] = [];
    const keep = (where: string, text: string): unknown => haystacks.push({ where, bytes: Buffer.from(text) });
    const cloister = async (...args: readonly string[]): Promise<number | null> => {
      const { code, stdout, stderr } = await runCliIn(folder, args);
      keep(args.join(" "), stdout + stderr);
      return code;
    };
    assert.equal(await cloister("broker", "keys", "create", KEY_ID, ...flags), 0);
    assert.equal(await cloister("broker", "keys", "export", KEY_ID, "--output", "wrap-key", ...flags), 0);
    assert.equal(await cloister("broker", "keys", "list", "--verbose", ...wrongFlags), 1);

    const broker = spawnCli(["broker", ...SERVICE, ...flags], folder);
    t.after(() => broker.kill("SIGKILL"));
    const closed = once(broker, "close");
    assert.ok(broker.stdout !== null && broker.stderr !== null && broker.pid !== undefined);
    broker.stderr.on("data", (part: Buffer) => keep("standard error", part.toString()));
    const lines = createInterface(broker.stdout);
    lines.on("line", (line) => keep("log", line));
    const [first] = (await once(lines, "line")) as [string];
    const { address, health } = JSON.parse(first) as Record<"address" | "health", { port: number }>;
    const ca = await readFile(join(folder, "broker-state/ca.pem"), "utf8");
    const provision = async (mrenclave?: Uint8Array): Promise<Buffer | undefined> => {
      const enclave = await createEnclave(platform, mrenclave && { mrenclave });
      return await stockProvision(await connectEnclave({ port: address.port, ca }, enclave), "1.9");
    };
    const wrapKey = await readFile(join(folder, "wrap-key"));
    assert.deepEqual(await provision(), wrapKey);
    assert.equal(await provision(new Uint8Array(32)), undefined);
    for (const path of ["/metrics", "/readyz", "/livez", "/none"]) {
      keep(path, await (await fetch(`http://127.0.0.1:${health.port}${path}`)).text());
    }
    haystacks.push(...(await processesOf([broker.pid])));
    broker.kill("SIGTERM");
    assert.deepEqual(await closed, [0, null]);
    haystacks.push(...(await filesBelow(join(folder, "broker-state"))));

    const held = { "the wrap key": wrapKey, ...secrets() };
    const needles = Object.entries(held).flatMap(([what, secret]) => spellings(what, secret));
    for (const { what, bytes } of [...needles, { what: "a private key", bytes: Buffer.from("PRIVATE KEY") }]) {
      for (const haystack of haystacks) assert.equal(haystack.bytes.indexOf(bytes), -1, `${what} in ${haystack.where}`);
    }
    const found = (text: string): boolean => haystacks.some(({ bytes }) => bytes.includes(text));
    assert.ok(
      ["MEASUREMENT_NOT_ALLOWED", KEY_ID, "--policy", "cloister_broker"].every(found),
      "it looks where things are",
    );
  });
}

const SERVICE = [
  ...["--host", "127.0.0.1", "--port", "0", "--health-port", "0", "--name", "broker.test", "--policy", "policy.json"],
  ...["--collateral", "collateral.json", "--simulated-anchor", "anchor.pem"],
];

async function setUp(t: TestContext): Promise<{ folder: string; platform: SimulatedPlatform }> {
  const folder = await mkdtemp(join(tmpdir(), "broker-secrets-"));
  t.after(() => rm(folder, { recursive: true }));
  const platform = createSimulatedPlatform({ now: new Date() });
  const files: Readonly<Record<string, string | Uint8Array>> = {
    passphrase: `${PASSPHRASE}\n`,
    wrong: "another passphrase",
    "anchor.pem": encodePem("CERTIFICATE", platform.trustAnchor.certificate),
    "collateral.json": encodeCollateral(platform.collateral()),
    "policy.json": JSON.stringify(testPolicyDocument(platform, { secrets: { keyId: KEY_ID } })),
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content, { mode: 0o600 });
  return { folder, platform };
}
