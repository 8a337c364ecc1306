import { type ChildProcess, spawn } from "node:child_process";
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { encodeCollateral } from "@cloister/attestation";
import { createSimulatedPlatform, type SimulatedPlatform } from "@cloister/attestation/simulated";
import { type BrokerEvent, KeyStore, passphraseProtection } from "@cloister/broker";
import { createAuthority, generatePrivateKey, issueServerCertificate } from "@cloister/broker/certificates";
import { type Provisioned, provision } from "@cloister/broker/client";
import { openStore, type StoredLog } from "@cloister/broker/store";
import { fromUtf8, Secret } from "@cloister/encoding";
import { buildCsr } from "@cloister/encoding/x509-builder";
import type { Policy } from "@cloister/policy";
import { servingSecrets, sgxIdentity, testPolicy } from "../../packages/broker/src/testing/policy.ts";
import { createEnclave, type EnclaveIdentity, MRENCLAVE } from "../../packages/broker/src/testing/stock-client.ts";
import { startPostgres, type TestDatabase } from "./postgres.ts";
import type { StoreBrokerConfig } from "./store-broker.ts";

const PROGRAM = fileURLToPath(new URL("store-broker.ts", import.meta.url));
const PASSPHRASE = "correct horse battery staple";
const SERVER_NAME = "broker.test";
export const ORIGIN = "test/shared";

export interface StoreBroker {
  readonly port: number;
  readonly process: ChildProcess;
  readonly events: BrokerEvent[];
  kill(): Promise<void>;
}

/** Brokers on one database, and what their clients and their operator have. */
export interface StoreCluster {
  readonly database: TestDatabase;
  readonly log: StoredLog["log"];
  readonly policies: StoredLog["policies"];
  readonly keys: KeyStore;
  readonly logKey: KeyObject;
  readonly platform: SimulatedPlatform;
  startBroker(): Promise<StoreBroker>;
  policy(mrenclave?: Uint8Array): Policy;
  /** A client's attempt at these brokers in order, with a fresh RA-TLS key unless one is given. */
  provision(brokers: readonly StoreBroker[], enclave?: EnclaveIdentity): Promise<Provisioned & { peerKey: string }>;
}

export async function startStoreCluster(t: TestContext): Promise<StoreCluster> {
  const database = await startPostgres(t);
  const now = new Date();
  const signing = generateKeyPairSync("ed25519");
  const store = await openStore(database.settings);
  const { log, policies } = await store.openLog({ origin: ORIGIN, signingKey: signing.privateKey });
  t.after(() => store.close());
  const protection = passphraseProtection(new Secret(Buffer.from(PASSPHRASE), "passphrase"));
  const keys = await KeyStore.open({ storage: store.keyStorage, protection });
  await keys.generate("digits/1");
  const platform = createSimulatedPlatform({ now });
  const authority = createAuthority({ name: "shared brokers", now });
  const config = brokerConfig({ database, signingKey: signing.privateKey, platform, authority, now });
  const policy = (mrenclave: Uint8Array = MRENCLAVE): Policy =>
    testPolicy(platform, { identities: [sgxIdentity(mrenclave)], secrets: servingSecrets(3) });
  await policies.activate(policy());
  const serving = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const csr = buildCsr({ subject: [["CN", "replica"]], ...serving });
  return {
    database,
    log,
    policies,
    keys,
    platform,
    policy,
    logKey: signing.publicKey,
    startBroker: () => spawnBroker(t, config),
    async provision(brokers, enclave) {
      const { privateKey, certificateDer } = enclave ?? (await createEnclave(platform));
      const endpoints = brokers.map(({ port }) => ({ host: "127.0.0.1", port, serverName: SERVER_NAME }));
      const [first, ...others] = endpoints;
      if (first === undefined) throw new RangeError("no broker given");
      const got = await provision({
        brokers: [first, ...others],
        ca: authority.certificate,
        csr,
        privateKey,
        certificateDer,
        logKey: signing.publicKey,
        timeoutMs: 15_000,
      });
      return { ...got, peerKey: keySha256(privateKey) };
    },
  };
}

function keySha256(privateKey: KeyObject): string {
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  return createHash("sha256").update(spki).digest("hex");
}

function brokerConfig(parts: {
  readonly database: TestDatabase;
  readonly signingKey: KeyObject;
  readonly platform: SimulatedPlatform;
  readonly authority: ReturnType<typeof createAuthority>;
  readonly now: Date;
}): StoreBrokerConfig {
  const { database, signingKey, platform, authority, now } = parts;
  const tlsKey = generatePrivateKey();
  const subject = { publicKey: tlsKey.publicKey };
  const owner = generateKeyPairSync("ed25519").publicKey;
  return {
    settings: database.settings,
    origin: ORIGIN,
    signingKey: signingKey.export({ type: "pkcs8", format: "pem" }) as string,
    passphrase: PASSPHRASE,
    tls: {
      key: fromUtf8(tlsKey.toPem().reveal()) ?? "",
      cert: issueServerCertificate({ authority, subject, now, dnsNames: [SERVER_NAME] }).chain,
    },
    authority: { certificate: authority.certificate, key: fromUtf8(authority.privateKey.toPem().reveal()) ?? "" },
    anchor: Buffer.from(platform.trustAnchor.certificate).toString("base64"),
    collateral: Buffer.from(encodeCollateral(platform.collateral())).toString("base64"),
    bundle: {
      manifest: Buffer.from('{"files":[]}').toString("base64"),
      ownerKey: owner.export({ type: "spki", format: "der" }).toString("base64"),
    },
  };
}

async function spawnBroker(t: TestContext, config: StoreBrokerConfig): Promise<StoreBroker> {
  const child = spawn(process.execPath, [PROGRAM], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "close");
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
  };
  t.after(kill);
  child.stdin.end(JSON.stringify(config));
  const events: BrokerEvent[] = [];
  const port = await new Promise<number>((resolve, reject) => {
    createInterface(child.stdout).on("line", (line) => {
      const value = JSON.parse(line) as BrokerEvent | { readonly port: number };
      if ("port" in value) resolve(value.port);
      else events.push(value);
    });
    child.once("exit", () => reject(new Error("the broker ended before it listened")));
  });
  return { port, process: child, events, kill };
}
