import { toHex } from "@cloister/encoding";
import type { MeasuredManifest } from "../sgx/measure-file.ts";

export interface PolicyEntryOptions {
  readonly measured: Pick<MeasuredManifest, "mrenclave">;
  readonly workload: string;
  readonly keyId: string;
  /** For a replica of this program; absent for the stock server, which gets a key and nothing else. */
  readonly model?: { readonly name: string; readonly version: number; readonly minimumGeneration: number };
  /** Names of the serving certificate. */
  readonly dnsNames: readonly string[];
  /** SHA-256 of the SIMULATED platform's root, hex. */
  readonly simulatedAnchor?: string;
}

const CERTIFICATE_SECONDS = 600;

/** The identity that a policy names for a measured enclave. */
export function policyIdentity({ mrenclave }: Pick<MeasuredManifest, "mrenclave">) {
  return { tee: "sgx", mrenclave: toHex(mrenclave) };
}

/** A new workload of a release policy for a measured enclave, with the strict defaults. */
export function policyEntry(options: PolicyEntryOptions) {
  const { measured, workload, keyId, model, dnsNames, simulatedAnchor } = options;
  return {
    name: workload,
    identities: [policyIdentity(measured)],
    platforms: [
      simulatedAnchor === undefined ? { kind: "intel" } : { kind: "simulated", anchorSha256: simulatedAnchor },
    ],
    // The stock client dates its certificates back to 2001.
    ...(model !== undefined && { certificate: { maximumAgeSeconds: CERTIFICATE_SECONDS } }),
    secrets: { keyId, ...(model !== undefined && { model, serving: { dnsNames } }) },
  };
}
