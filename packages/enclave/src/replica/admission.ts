import { createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { createRaTlsCertificate } from "@cloister/attestation";
import {
  type NativeProvisioned,
  type ProvisionedModel,
  type ProvisionedServing,
  provisionNative,
} from "@cloister/broker/client";
import type { Secret } from "@cloister/encoding";
import { buildCsr } from "@cloister/encoding/x509-builder";
import { EnclaveError } from "../errors.ts";
import type { HostOptions } from "../manifest/host-options.ts";
import type { ReplicaConfig } from "../manifest/manifest.ts";
import type { PlatformDriver } from "../platform/driver.ts";
import { publicKeyDigest } from "./public-key-digest.ts";

const generate = promisify(generateKeyPair);
const EVIDENCE_VALIDITY_MS = 60 * 60 * 1000;
/** The broker's clock may be a little behind. */
const CLOCK_SKEW_MS = 60_000;

/** What a replica needs to be admitted, each time anew. */
export interface AdmissionOptions {
  readonly config: ReplicaConfig;
  readonly hostOptions: HostOptions;
  readonly driver: PlatformDriver;
  readonly onPhase: (name: string, ms: number) => void;
  /** Keys were released to this one, by the digest that the release log has it under. Nothing was done with them yet. */
  readonly onAdmitted?: (publicKeySha256: string) => void;
  /** Ends the waiting for a broker. */
  readonly signal?: AbortSignal;
}

/** An admitted replica: what it got, and the key that its serving certificate is for. */
export interface Admission extends Pick<NativeProvisioned, "keys" | "leaseSeconds" | "logProof"> {
  readonly model: ProvisionedModel;
  readonly serving: ProvisionedServing;
  readonly servingKey: KeyObject;
}

/**
 * Makes a fresh key, has the platform quote it for this very connection, and takes what the policy gives. Throws the broker's
 * client's codes, PLATFORM_QUOTE_FAILED, or NOTHING_TO_SERVE where the policy gives a key and no model or identity.
 */
export async function askForAdmission(options: AdmissionOptions): Promise<Admission> {
  const { config, hostOptions, driver, onPhase, signal } = options;
  const keyPair = await generate("ec", { namedCurve: "P-256" });
  const { serverName, caPem, logKey } = config.broker;
  const [first, ...others] = hostOptions.brokerAddresses.map(({ host, port }) => ({ host, port, serverName }));
  if (first === undefined) throw new TypeError("the host options carry at least one broker address");
  const { keys, secrets, model, serving, leaseSeconds, logProof } = await provisionNative({
    brokers: [first, ...others],
    ca: caPem,
    publicKey: keyPair.publicKey,
    certificate: (nonce) => makeEvidence(driver, keyPair, nonce, onPhase),
    csr: buildCsr({ subject: [["CN", "cloister replica"]], ...keyPair }),
    logKey: createPublicKey({ key: Buffer.from(logKey, "base64"), format: "der", type: "spki" }),
    ...(signal !== undefined && { signal }),
  });
  options.onAdmitted?.(publicKeyDigest(keyPair.publicKey));
  await installMountKeys(driver, config.mountKeys ?? [], secrets);
  if (model !== null && serving !== null) {
    return { keys, model, serving, leaseSeconds, logProof, servingKey: keyPair.privateKey };
  }
  for (const { secret } of keys) secret.wipe();
  throw new EnclaveError("NOTHING_TO_SERVE", {
    what: "the replica refused to serve",
    why: "the policy gave it a key, but no model or no serving identity",
    remedy: "add model and serving to the workload's secrets",
  });
}

/** Hands the mounts their keys. A replica has no use for further secrets, and none of them stays. */
async function installMountKeys(
  driver: PlatformDriver,
  names: readonly string[],
  secrets: ReadonlyMap<string, Secret>,
): Promise<void> {
  try {
    for (const name of names) {
      const key = secrets.get(name);
      if (key === undefined || driver.installKey === undefined) throw mountKeyMissing(name, key === undefined);
      await driver.installKey(name, key);
    }
  } finally {
    for (const secret of secrets.values()) secret.wipe();
  }
}

function mountKeyMissing(name: string, isNotGiven: boolean): EnclaveError {
  return new EnclaveError("PLATFORM_KEY_REFUSED", {
    what: `the encrypted mount under the key ${name} cannot be opened`,
    why: isNotGiven ? "the policy does not give that secret" : "this platform has no encrypted mounts",
    remedy: "let the workload's secrets and mountKeys in the manifest name the same keys",
  });
}

async function makeEvidence(
  driver: PlatformDriver,
  keyPair: { readonly publicKey: KeyObject; readonly privateKey: KeyObject },
  nonce: Uint8Array,
  onPhase: AdmissionOptions["onPhase"],
): Promise<Uint8Array> {
  const startedAt = performance.now();
  const now = Date.now();
  const certificate = await createRaTlsCertificate({
    keyPair,
    nonce,
    extensions: "evidence",
    quote: (reportData) => driver.quote(reportData),
    notBefore: new Date(now - CLOCK_SKEW_MS),
    notAfter: new Date(now + EVIDENCE_VALIDITY_MS),
  });
  onPhase("quote", Math.round(performance.now() - startedAt));
  return certificate;
}
