import type { KeyObject } from "node:crypto";
import type { ProvisionedServing } from "@cloister/broker/client";
import { type ModelServer, type ModelServerTls, startModelServer } from "@cloister/model-server";
import { OnnxEngine } from "@cloister/model-server/engine";
import { decodeBundleManifest, openBundle, ProtectedFileError, type VerifiedModel } from "@cloister/protected-files";
import { nodeCipher, readTree } from "@cloister/protected-files/rim";
import { EnclaveError } from "../errors.ts";
import type { HostOptions } from "../manifest/host-options.ts";
import type { ReplicaConfig } from "../manifest/manifest.ts";
import { type Admission, type AdmissionOptions, askForAdmission } from "./admission.ts";
import { ReplicaEvidence } from "./evidence.ts";
import { keepLease } from "./lease.ts";
import { withPatience } from "./patience.ts";

const MS_PER_SECOND = 1000;

export interface ReplicaOptions extends AdmissionOptions {
  /** The broker could not be asked, and will be again. */
  readonly onRetry?: (code: string, pauseMs: number) => void;
  /** The replica's lease is over. It serves nothing any more when this is called. */
  readonly onLost: (error: EnclaveError) => void;
}

export interface Replica {
  readonly address: { readonly host: string; readonly port: number };
  /** Generation of the model bundle that is served. */
  readonly generation: number;
  /** What the server counted, as Prometheus reads it. */
  metrics(): string;
  stop(): Promise<void>;
}

/**
 * Everything between an empty enclave and a serving one: make a key and evidence for a connection to the broker, take the keys,
 * open the sealed model in memory, load it, serve it over TLS under a key that never left this process. Where the policy gives
 * a lease, it is admitted again in time, with a new key and certificate, or stops.
 *
 * Throws the coded error of the part that refused: the broker's client, `ProtectedFileError`, the engine's or the server's.
 */
export async function startReplica(options: ReplicaOptions): Promise<Replica> {
  const { config, hostOptions, driver, onPhase, onLost } = options;
  const phase = phaseClock(onPhase);
  const engine = new OnnxEngine({ threads: config.engineThreads });
  engine.prepare();
  const admission = await phase("provision", () =>
    withPatience(() => askForAdmission(options), {
      waitMs: (hostOptions.waitForBrokerSeconds ?? 0) * MS_PER_SECOND,
      onRetry: options.onRetry ?? (() => undefined),
      ...(options.signal !== undefined && { signal: options.signal }),
    }),
  );
  const model = await phase("open", () => openModel(config, hostOptions, admission));
  const evidence = new ReplicaEvidence(driver, hostOptions.collateralFile);
  evidence.admit(admission.servingKey, admission.logProof);
  const server = await phase("load", () =>
    startModelServer({
      ...hostOptions.listen,
      replicaId: hostOptions.replicaId,
      tls: servingTls(admission.serving, admission.servingKey),
      evidence,
      models: [{ ...model.model, files: model.files }],
      engine,
      ...(hostOptions.maxConnectionAgeSeconds !== undefined && {
        connectionCare: { maxAgeMs: hostOptions.maxConnectionAgeSeconds * MS_PER_SECOND },
      }),
    }),
  );
  const endLease = watchLease(admission.leaseSeconds, {
    renew: (signal) => renew({ ...options, signal }, model.generation, server, evidence),
    onLost: (error) => void server.close({ graceMs: 0 }).finally(() => onLost(error)),
  });
  const stop = async (): Promise<void> => {
    endLease();
    await server.close();
  };
  return {
    address: server.address,
    generation: model.generation,
    metrics: () => server.metrics.registry.render(),
    stop,
  };
}

function watchLease(
  leaseSeconds: number | null,
  options: Omit<Parameters<typeof keepLease>[0], "leaseSeconds">,
): () => void {
  return leaseSeconds === null ? () => undefined : keepLease({ leaseSeconds, ...options });
}

/** Is admitted again, and serves under the new certificate from then on. The model stays: only its generation is looked at. */
async function renew(
  options: ReplicaOptions & { readonly signal: AbortSignal },
  generation: number,
  server: ModelServer,
  evidence: ReplicaEvidence,
): Promise<number | null> {
  const admission = await askForAdmission(options);
  wipeKeys(admission);
  if (admission.model.minimumGeneration > generation) {
    throw new EnclaveError("GENERATION_REVOKED", {
      what: "the replica stopped serving",
      why: "the policy asks for a newer generation of the model than it serves",
      remedy: "none is needed where the new sealed files are in place: a new start opens them",
    });
  }
  if (options.signal.aborted) return admission.leaseSeconds;
  evidence.admit(admission.servingKey, admission.logProof);
  server.replaceTls(servingTls(admission.serving, admission.servingKey));
  return admission.leaseSeconds;
}

/** Opens the bundle with the newest key; while a rotation overlaps, files may still be sealed under the one before. */
async function openModel(
  config: ReplicaConfig,
  hostOptions: HostOptions,
  admission: Admission,
): Promise<VerifiedModel> {
  const sealed = await readTree(hostOptions.sealedDir);
  const { ownerKey, minimumGeneration, bundleManifest } = admission.model;
  const manifest = decodeBundleManifest(bundleManifest);
  const bundle = { sealed, ownerKey, manifest, expect: { ...config.model, minimumGeneration } };
  const cipher = await nodeCipher();
  let first: ProtectedFileError | undefined;
  try {
    for (const { secret: wrapKey } of admission.keys) {
      try {
        return openBundle({ ...bundle, wrapKey, cipher });
      } catch (error) {
        if (!(error instanceof ProtectedFileError)) throw error;
        first ??= error;
      }
    }
    throw first ?? new TypeError("an admission carries at least one key");
  } finally {
    wipeKeys(admission);
  }
}

function wipeKeys({ keys }: Admission): void {
  for (const { secret } of keys) secret.wipe();
}

function servingTls({ certificate, clientCa, clientVerify }: ProvisionedServing, key: KeyObject): ModelServerTls {
  if (clientVerify && clientCa === null) {
    throw new EnclaveError("CLIENT_CA_MISSING", {
      what: "the replica refused to serve",
      why: "clients must show a certificate, but the broker named no authority for them",
      remedy: "give the broker the requesters' certificate authority",
    });
  }
  return {
    key: key.export({ format: "pem", type: "pkcs8" }) as string,
    cert: certificate,
    ...(clientCa !== null && { ca: clientCa }),
    requireClientCertificate: clientVerify,
  };
}

function phaseClock(onPhase: ReplicaOptions["onPhase"]) {
  return async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const startedAt = performance.now();
    const result = await work();
    onPhase(name, Math.round(performance.now() - startedAt));
    return result;
  };
}
