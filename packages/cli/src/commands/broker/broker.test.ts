import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { after, type TestContext, test } from "node:test";
import { connect } from "node:tls";
import { fileURLToPath } from "node:url";
import { encodeCollateral } from "@cloister/attestation";
import { createRaTlsCertificate } from "@cloister/attestation/ra-tls";
import { createSimulatedPlatform, type SimulatedPlatform } from "@cloister/attestation/simulated";
import { toHex } from "@cloister/encoding";
import { encodePem } from "@cloister/encoding/pem";
import { type Outcome, startSession } from "../../testing/session.ts";

const PROGRAM = fileURLToPath(new URL("../../main.ts", import.meta.url));
const PASSPHRASE = "four words of nonsense";
const MRENCLAVE = new Uint8Array(32).fill(0xe1);
const HOUR_MS = 3_600_000;

/** Command lines that only their outcome is asked of run in one process. What a broker does as a program of its own has starts of its own. */
const session = startSession();
after(() => session.close());

function start(args: readonly string[], cwd: string): ChildProcess {
  return spawn(process.execPath, [PROGRAM, ...args], { cwd, stdio: ["ignore", "pipe", "pipe"] });
}

async function startAndEnd(args: readonly string[], cwd: string): Promise<Outcome> {
  const child = start(args, cwd);
  assert.ok(child.stdout && child.stderr);
  const ended = once(child, "close") as Promise<[number]>;
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr };
}

async function setUp(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "cli-broker-"));
  t.after(() => rm(folder, { recursive: true }));
  const platform = createSimulatedPlatform({ now: new Date() });
  const write = (name: string, content: string | Uint8Array): Promise<void> =>
    writeFile(join(folder, name), content, { mode: 0o600 });
  await write("passphrase", `${PASSPHRASE}\n`);
  await write("anchor.pem", encodePem("CERTIFICATE", platform.trustAnchor.certificate));
  await write("collateral.json", encodeCollateral(platform.collateral()));
  const policy = (mrenclave: Uint8Array): string =>
    [
      "schema: cloister-policy/1",
      "production: false",
      "workloads:",
      "  - name: digits",
      `    identities: [{ tee: sgx, mrenclave: "${toHex(mrenclave)}" }]`,
      "    platforms:",
      "      - kind: simulated",
      `        anchorSha256: ${createHash("sha256").update(platform.trustAnchor.certificate).digest("hex")}`,
      "    secrets: { keyId: models/digits/1 }",
      "",
    ].join("\n");
  await write("policy.yaml", policy(MRENCLAVE));
  const config = [
    "broker:",
    "  host: 127.0.0.1",
    "  port: 0",
    "  healthPort: 0",
    "  passphraseFile: passphrase",
    "  policy: policy.yaml",
    "  name: [broker.test]",
    "  collateral: collateral.json",
    "  simulatedAnchor: anchor.pem",
    "",
  ];
  await write("cloister.yaml", config.join("\n"));
  return { folder, platform, write, policy };
}

/** What the stock library does: request, header, 16 bytes. */
async function provision(platform: SimulatedPlatform, port: number, ca: string): Promise<Buffer> {
  const keyPair = generateKeyPairSync("ec", { namedCurve: "P-384" });
  const certificate = await createRaTlsCertificate({
    keyPair,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + HOUR_MS),
    quote: async (reportData) => platform.quote({ reportData, mrenclave: MRENCLAVE, mrsigner: new Uint8Array(32) }),
  });
  const key = keyPair.privateKey.export({ type: "pkcs8", format: "pem" });
  const cert = encodePem("CERTIFICATE", certificate);
  const socket = connect({ host: "127.0.0.1", port, ca, servername: "broker.test", key, cert });
  await once(socket, "secureConnect");
  socket.write("SECRET_PROVISION_RA_TLS_REQUEST_V1\0");
  const parts: Buffer[] = [];
  for await (const part of socket) parts.push(part as Buffer);
  return Buffer.concat(parts).subarray(41);
}

/** Text forms in which a secret could stand somewhere. */
function formsOf(secret: Uint8Array): Buffer[] {
  const bytes = Buffer.from(secret);
  const texts = [bytes.toString("hex"), bytes.toString("hex").toUpperCase(), bytes.toString("base64").slice(0, 21)];
  return [bytes, ...texts.map((text) => Buffer.from(text))];
}

test("keys are looked for where there are some: a mistyped folder is told and not made", async (t) => {
  const { folder } = await setUp(t);
  for (const action of [["list"], ["rotate", "a/1"], ["revoke", "a/1"], ["export", "a/1", "--output", "key"]]) {
    const { code, stderr } = await session.run(folder, "broker", "keys", ...action, "--state-dir", "mistyped");
    assert.equal(code, 1);
    assert.match(stderr, /^KEY_STORE_MISSING: /);
  }
  assert.ok(!readdirSync(folder).includes("mistyped"));
});

test("a broker from the command line: keys, release, reload, health, log, plan, stop, and no secret anywhere", async (t) => {
  const { folder, platform, write, policy } = await setUp(t);
  const outputs: string[] = [];
  const cloister = async (...args: string[]): Promise<Outcome> => {
    const finished = await session.run(folder, ...args);
    outputs.push(finished.stdout, finished.stderr);
    return finished;
  };
  assert.equal((await cloister("broker", "keys", "create", "models/digits/1")).code, 0);
  const exported = join(folder, "wrap-key");
  assert.equal((await cloister("broker", "keys", "export", "models/digits/1", "--output", exported)).code, 0);
  assert.equal(statSync(exported).mode & 0o777, 0o600);
  const wrapKey = await readFile(exported);
  await rm(exported);

  const broker = start(["broker"], folder);
  t.after(() => broker.kill("SIGKILL"));
  const closed = once(broker, "close");
  const lines: string[] = [];
  const wanted: { type: string; done: (line: Record<string, unknown>) => void }[] = [];
  assert.ok(broker.stdout !== null && broker.stderr !== null);
  createInterface(broker.stdout).on("line", (line) => {
    lines.push(line);
    const value = JSON.parse(line) as Record<string, unknown>;
    wanted.filter(({ type }) => type === value["type"]).forEach(({ done }) => done(value));
  });
  broker.stderr.on("data", (part: Buffer) => outputs.push(part.toString()));
  const line = (type: string): Promise<Record<string, unknown>> =>
    new Promise((done) => {
      wanted.push({ type, done });
    });
  const started = (await line("started")) as { address: { port: number }; health: { port: number }; trusts: string };
  assert.equal(started.trusts, "SIMULATED");
  const ca = await readFile(join(folder, "broker-state/ca.pem"), "utf8");
  assert.deepEqual(await provision(platform, started.address.port, ca), wrapKey);

  await write("policy.yaml", policy(new Uint8Array(32)));
  const changed = line("policy");
  broker.kill("SIGHUP");
  await changed;
  const refused = await provision(platform, started.address.port, ca);
  assert.ok(refused.includes("MEASUREMENT_NOT_ALLOWED"));

  const health = async (path: string): Promise<string> =>
    (await fetch(`http://127.0.0.1:${started.health.port}${path}`)).text();
  assert.equal(await health("/readyz"), "ok\n");
  outputs.push(await health("/metrics"));
  for (const name of ["cmdline", "environ"]) outputs.push(readFileSync(`/proc/${broker.pid}/${name}`, "latin1"));
  await cloister("broker", "keys", "list");

  broker.kill("SIGTERM");
  assert.deepEqual(await closed, [0, null]);
  const origin = ["--origin", "broker.test/release-log"];
  const verified = await cloister("log", "verify", "--json", ...origin);
  assert.equal((JSON.parse(verified.stdout) as { size: number }).size, 2);
  await write("proof.json", (await cloister("log", "prove", "1", ...origin)).stdout);
  assert.equal((await cloister("log", "verify", "--proof", "proof.json", ...origin)).code, 0);
  assert.equal((await cloister("log", "prove", "2", ...origin)).code, 1);
  assert.match((await cloister("log", "show", ...origin)).stdout, /released.*SIMULATED\n.*MEASUREMENT_NOT_ALLOWED/);
  await write("old.yaml", policy(MRENCLAVE));
  const plan = await cloister("policy", "plan", "policy.yaml", "--current", "old.yaml", "--json", ...origin);
  const { effects } = JSON.parse(plan.stdout) as { effects: { index: number; effect: string }[] };
  assert.deepEqual(
    effects.map(({ index, effect }) => [index, effect]),
    [
      [0, "now refused"],
      [1, "now refused"],
    ],
  );

  const files = readdirSync(join(folder, "broker-state")).map((name) =>
    readFileSync(join(folder, "broker-state", name)),
  );
  const everything = Buffer.concat([...files, ...outputs.map((text) => Buffer.from(text)), Buffer.from(lines.join())]);
  assert.notEqual(everything.indexOf("models/digits/1"), -1, "the search looks where things are");
  for (const form of [...formsOf(wrapKey), Buffer.from(PASSPHRASE), Buffer.from("PRIVATE KEY")]) {
    assert.equal(everything.indexOf(form), -1, "a secret was found");
  }
});

test("a broker does not start without a policy, with a passphrase that others can read, with a service that it cannot trust", async (t) => {
  const { folder, write } = await setUp(t);
  const nameOf = ({ code, stderr }: Outcome): string => {
    const name = stderr.split(":")[0] ?? "";
    assert.equal(code, name.startsWith("OPTION") ? 2 : 1);
    return name;
  };
  const code = async (...args: string[]): Promise<string> => nameOf(await session.run(folder, ...args));
  await write("empty.yaml", "{}\n");
  assert.equal(await code("broker", "--config", "empty.yaml"), "OPTION_MISSING");
  await writeFile(join(folder, "open"), PASSPHRASE, { mode: 0o644 });
  assert.equal(await code("broker", "--passphrase-file", "open"), "KEY_FILE_EXPOSED");
  await write("policy.yaml", "schema: cloister-policy/1\nworkloads: yes\n");
  assert.equal(nameOf(await startAndEnd(["broker"], folder)), "POLICY_MALFORMED");
  await write(
    "http.yaml",
    "broker: { passphraseFile: passphrase, policy: policy.yaml, pccs: 'http://pccs.service.com' }\n",
  );
  assert.equal(await code("broker", "--client-ca", "passphrase"), "FILE_MALFORMED");
  assert.equal(await code("broker", "--bundles", ".", "--owner-key", "passphrase"), "BROKER_OPTIONS_INVALID");
  assert.equal(await code("broker", "--collateral", "nowhere"), "FILE_UNREADABLE");
  assert.equal(await code("broker", "--config", "http.yaml"), "OPTION_REFUSED");
  // As the original's file has it.
  await write(
    "qcnl.conf",
    '{"pccs_url": "https://pccs.service.com:8081/sgx/certification/v4/", "use_secure_cert": false}',
  );
  await write(
    "cloister.yaml",
    "broker: { name: [broker.test], passphraseFile: passphrase, policy: policy.yaml, qcnl: qcnl.conf }\n",
  );
  assert.equal(await code("broker"), "QCNL_INSECURE_TLS");
  assert.equal(await code("broker", "--allow-insecure-tls"), "POLICY_MALFORMED");
});

test("init makes passphrase, keys, authority and policy once, and a broker starts with them", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "cli-broker-"));
  t.after(() => rm(folder, { recursive: true }));
  const flags = ["--passphrase-file", "passphrase", "--policy", "policy.yaml"];
  const first = await session.run(folder, "broker", "init", ...flags);
  assert.equal(first.code, 0, first.stderr);
  const names = [
    "passphrase",
    "policy.yaml",
    "broker-state/broker.db",
    "broker-state/ca.pem",
    "broker-state/log-key.pem",
  ];
  // The database counts its openings; that it has the same keys, authority and log key tell.
  const texts = names.filter((name) => !name.endsWith(".db"));
  const contents = (): Promise<string[]> => Promise.all(texts.map((name) => readFile(join(folder, name), "utf8")));
  const made = await contents();
  assert.equal(statSync(join(folder, "passphrase")).mode & 0o777, 0o600);
  assert.equal(`${first.stdout}${first.stderr}`.includes(made[0]?.trim() ?? ""), false, "the passphrase is not shown");
  assert.equal((await session.run(folder, "policy", "check", "policy.yaml")).code, 0);

  const again = await session.run(folder, "broker", "init", "--json", ...flags);
  const { files } = JSON.parse(again.stdout) as { files: { made: boolean }[] };
  assert.deepEqual(
    files.map(({ made }) => made),
    [false, false, false, false, false],
  );
  assert.deepEqual(await contents(), made, "nothing is overwritten");

  const missing = await session.run(folder, "broker", "init", "--passphrase-file", "mistyped");
  assert.deepEqual([missing.code, missing.stderr.split(":")[0]], [1, "FILE_UNUSABLE"]);
  const broker = start(["broker", "--host", "127.0.0.1", "--port", "0", "--health-port", "0", ...flags], folder);
  t.after(() => broker.kill("SIGKILL"));
  const closed = once(broker, "close");
  const [line] = (await once(broker.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
  assert.equal((JSON.parse(line.toString()) as { type: string }).type, "started");
  broker.kill("SIGTERM");
  assert.deepEqual(await closed, [0, null]);
  assert.equal(await readFile(join(folder, "broker-state/ca.pem"), "utf8"), made[2]);
});

test("init in a repository makes no passphrase", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "cli-broker-"));
  t.after(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, ".git"));
  const { code, stderr } = await session.run(folder, "broker", "init", "--passphrase-file", "passphrase");
  assert.deepEqual([code, stderr.split(":")[0]], [1, "KEY_IN_REPOSITORY"]);
  assert.deepEqual(readdirSync(folder), [".git"]);
});
