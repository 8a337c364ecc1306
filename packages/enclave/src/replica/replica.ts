import { createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { createRaTlsCertificate } from "@cloister/attestation";
import { provision, type Provisioned } from "@cloister/broker/client";
import { buildCsr } from "@cloister/encoding/x509-builder";
import { type ModelServer, type ModelServerTls, startModelServer } from "@cloister/model-server";
import { OnnxEngine } from "@cloister/model-server/engine";
import { decodeBundleManifest, openBundle, type VerifiedModel } from "@cloister/protected-files";
import { readTree } from "@cloister/protected-files/rim";
import { EnclaveError } from "../errors.ts";
import type { HostOptions } from "../manifest/host-options.ts";
import type { ReplicaConfig } from "../manifest/manifest.ts";
import type { PlatformDriver } from "../platform/driver.ts";

const generate = promisify(generateKeyPair);
const RA_TLS_VALIDITY_MS = 24 * 60 * 60 * 1000;
/** The broker's clock may be a little behind. */
const CLOCK_SKEW_MS = 60_000;

export interface ReplicaOptions {
  readonly config: ReplicaConfig;
  readonly hostOptions: HostOptions;
  readonly driver: PlatformDriver;
  readonly onPhase: (name: string, ms: number) => void;
}

export interface Replica {
  readonly address: { readonly host: string; readonly port: number };
  /** Generation of the model bundle that is served. */
  readonly generation: number;
  stop(): Promise<void>;
}

type KeyPair = { readonly publicKey: KeyObject; readonly privateKey: KeyObject };

/**
 * Everything between an empty enclave and a serving one: make a key and a certificate with quotes over it, hand both to the broker,
 * take the keys, open the sealed model in memory, load it, serve it over TLS under a key that never left this process.
 *
 * Throws the coded error of the part that refused: the broker's client, `ProtectedFileError`, the engine's or the server's.
 */
export async function startReplica({ config, hostOptions, driver, onPhase }: ReplicaOptions): Promise<Replica> {
  const phase = phaseClock(onPhase);
  const identity = await phase("quote", () => createIdentity(driver));
  const serving = await generateKeys();
  const provisioned = await phase("provision", () => askBroker(config, hostOptions, identity, serving));
  const model = await phase("open", () => openModel(config, hostOptions, provisioned));
  const engine = new OnnxEngine({ threads: config.engineThreads });
  const server = await phase("load", () =>
    startModelServer({
      ...hostOptions.listen,
      replicaId: hostOptions.replicaId,
      tls: servingTls(provisioned, serving.privateKey),
      evidence: { quote: (reportData) => driver.quote(reportData) },
      models: [{ ...model.model, files: model.files }],
      engine,
    }),
  );
  return { address: server.address, generation: model.generation, stop: () => stopServer(server) };
}

interface Identity extends KeyPair {
  readonly certificateDer: Uint8Array;
}

function generateKeys(): Promise<KeyPair> {
  return generate("ec", { namedCurve: "P-256" });
}

/** A fresh RA-TLS key for each start: the broker serves a certificate once. */
async function createIdentity(driver: PlatformDriver): Promise<Identity> {
  const keyPair = await generateKeys();
  const now = Date.now();
  const certificateDer = await createRaTlsCertificate({
    keyPair,
    quote: (reportData) => driver.quote(reportData),
    notBefore: new Date(now - CLOCK_SKEW_MS),
    notAfter: new Date(now + RA_TLS_VALIDITY_MS),
  });
  return { ...keyPair, certificateDer };
}

async function askBroker(
  config: ReplicaConfig,
  hostOptions: HostOptions,
  identity: Identity,
  serving: KeyPair,
): Promise<Provisioned> {
  const { serverName, caPem, logKey } = config.broker;
  const [first, ...others] = hostOptions.brokerAddresses.map((address) => ({ ...address, serverName }));
  if (first === undefined) throw new TypeError("the host options carry at least one broker address");
  return provision({
    brokers: [first, ...others],
    ca: caPem,
    privateKey: identity.privateKey,
    certificateDer: identity.certificateDer,
    csr: buildCsr({ subject: [["CN", "cloister replica"]], ...serving }),
    logKey: createPublicKey({ key: Buffer.from(logKey, "base64"), format: "der", type: "spki" }),
  });
}

async function openModel(
  config: ReplicaConfig,
  hostOptions: HostOptions,
  provisioned: Provisioned,
): Promise<VerifiedModel> {
  const sealed = await readTree(hostOptions.sealedDir);
  const { wrapKey, ownerKey, minimumGeneration } = provisioned;
  const manifest = decodeBundleManifest(provisioned.bundleManifest);
  try {
    return openBundle({ sealed, wrapKey, ownerKey, manifest, expect: { ...config.model, minimumGeneration } });
  } finally {
    wrapKey.wipe();
  }
}

function servingTls(provisioned: Provisioned, key: KeyObject): ModelServerTls {
  const { servingCertificate, clientCa, clientVerify } = provisioned;
  if (clientVerify && clientCa === null) {
    throw new EnclaveError("CLIENT_CA_MISSING", {
      what: "the replica refused to serve",
      why: "clients must show a certificate, but the broker named no authority for them",
      remedy: "give the broker the requesters' certificate authority",
    });
  }
  return {
    key: key.export({ format: "pem", type: "pkcs8" }) as string,
    cert: servingCertificate,
    ...(clientCa !== null && { ca: clientCa }),
    requireClientCertificate: clientVerify,
  };
}

async function stopServer(server: ModelServer): Promise<void> {
  await server.close();
}

function phaseClock(onPhase: ReplicaOptions["onPhase"]) {
  return async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const startedAt = performance.now();
    const result = await work();
    onPhase(name, Math.round(performance.now() - startedAt));
    return result;
  };
}
