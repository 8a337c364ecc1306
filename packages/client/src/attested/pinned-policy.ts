import type { TrustAnchor } from "@cloister/attestation";
import { toHex } from "@cloister/encoding";
import { sha256 } from "@cloister/encoding/sha256";
import { parsePolicy, type Policy, POLICY_SCHEMA } from "@cloister/policy";

/**
 * A policy for exactly one SGX measurement on a fully patched platform under one of these anchors, not in debug mode. Throws
 * `PolicyError` POLICY_MALFORMED where the measurement is not 64 hex digits.
 */
export function pinnedPolicy(mrenclave: string, anchors: readonly TrustAnchor[]): Policy {
  const platforms = anchors.map(({ kind, certificate }) =>
    kind === "intel" ? { kind } : { kind, anchorSha256: toHex(sha256(certificate)) },
  );
  return parsePolicy({
    schema: POLICY_SCHEMA,
    production: platforms.every(({ kind }) => kind === "intel"),
    workloads: [
      {
        name: "pinned",
        identities: [{ tee: "sgx", mrenclave }],
        platforms,
        secrets: { keyId: "none", encoding: "raw16" },
      },
    ],
  });
}
