import { createHash } from "node:crypto";
import type { SimulatedPlatform } from "@cloister/attestation/simulated";
import { toHex } from "@cloister/encoding";
import { parsePolicy, type Policy } from "@cloister/policy";
import { MRENCLAVE } from "./stock-client.ts";

/** A policy as its author writes it: the test enclave on that platform gets the key `digits/1`. Members may be replaced. */
export function testPolicyDocument(platform: SimulatedPlatform, overrides: Record<string, unknown> = {}): object {
  const anchorSha256 = createHash("sha256").update(platform.trustAnchor.certificate).digest("hex");
  return {
    schema: "cloister-policy/1",
    production: false,
    workloads: [
      {
        name: "digits",
        identities: [sgxIdentity(MRENCLAVE)],
        platforms: [{ kind: "simulated", anchorSha256 }],
        secrets: { keyId: "digits/1" },
        ...overrides,
      },
    ],
  };
}

export function testPolicy(platform: SimulatedPlatform, overrides: Record<string, unknown> = {}): Policy {
  return parsePolicy(testPolicyDocument(platform, overrides));
}

export function sgxIdentity(mrenclave: Uint8Array): object {
  return { tee: "sgx", mrenclave: toHex(mrenclave) };
}

/** Secrets of an enclave that serves, with that minimum generation of its model. */
export function servingSecrets(minimumGeneration: number): object {
  return {
    keyId: "digits/1",
    model: { name: "digits", version: 1, minimumGeneration },
    serving: { dnsNames: ["replica.test"] },
  };
}
