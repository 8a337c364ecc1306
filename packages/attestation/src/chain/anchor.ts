import { equalBytes, toHex } from "@cloister/encoding";
import { COMMON_NAME, nameAttribute, parseCertificate, type Certificate } from "@cloister/encoding/x509";
import { refusal } from "../errors.ts";
import type { Memory } from "../appraisal/memory.ts";
import { sha256, type Steps } from "../appraisal/steps.ts";
import { INTEL_ROOT_NAME, INTEL_ROOT_SPKI_SHA256, type TrustAnchor } from "../appraisal/trust-anchor.ts";
import { hasProfile } from "./profile.ts";
import { isSignedBy } from "./signed-by.ts";
import { timeFault } from "./validity.ts";

/** A trust anchor whose certificate was read and found to sign itself. */
export interface LoadedAnchor {
  readonly anchor: TrustAnchor;
  readonly certificate: Certificate;
  /** SHA-256 of the certificate, lower-case hex. */
  readonly sha256: string;
}

/**
 * Reads a trust anchor: a P-256 root that signs itself; of kind `intel` only Intel's key under Intel's name.
 * Throws `AttestationError` with an ANCHOR_ code. Dates are checked by `checkAnchorTime`.
 */
export function* recallAnchor(memory: Memory, anchor: TrustAnchor): Steps<LoadedAnchor> {
  const loaded = yield* memory.recall(`anchor/${anchor.kind}`, [anchor.certificate], () => loadAnchor(anchor));
  // Two anchors may have the same certificate under different names.
  return { ...loaded, anchor };
}

/** Whether two roots have the same key and name; a self-signed one names itself as issuer. */
export function isIssueOf(root: Certificate, { certificate }: LoadedAnchor): boolean {
  return (
    equalBytes(root.spki, certificate.spki) &&
    equalBytes(root.subject.raw, certificate.subject.raw) &&
    equalBytes(root.issuer.raw, certificate.subject.raw)
  );
}

/** The anchor whose key and name the chain's root has. Throws `AttestationError` PCK_CHAIN_ROOT_NOT_TRUSTED. */
export function* chooseAnchor(
  memory: Memory,
  anchors: readonly TrustAnchor[],
  root: Certificate | undefined,
): Steps<LoadedAnchor> {
  let chosen: LoadedAnchor | undefined;
  for (const candidate of anchors) {
    const loaded = yield* recallAnchor(memory, candidate);
    if (root !== undefined && isIssueOf(root, loaded)) chosen ??= loaded;
  }
  if (chosen === undefined) throw refusal("PCK_CHAIN_ROOT_NOT_TRUSTED");
  return chosen;
}

export function checkAnchorTime({ certificate }: LoadedAnchor, time: Date): void {
  const fault = timeFault({ from: certificate.notBefore, until: certificate.notAfter }, time);
  if (fault !== undefined) throw refusal(`ANCHOR_${fault}`);
}

function* loadAnchor(anchor: TrustAnchor): Steps<LoadedAnchor> {
  const certificate = parseAnchor(anchor.certificate);
  if (!hasProfile(certificate, "root")) throw refusal("ANCHOR_MALFORMED");
  const selfIssued = equalBytes(certificate.issuer.raw, certificate.subject.raw);
  if (!selfIssued || !(yield* isSignedBy(certificate, certificate))) throw refusal("ANCHOR_NOT_SELF_SIGNED");
  if (anchor.kind === "intel") yield* checkIntelRoot(certificate);
  return { anchor, certificate, sha256: toHex(yield* sha256(certificate.raw)) };
}

function* checkIntelRoot(certificate: Certificate): Steps<void> {
  const spkiSha256 = toHex(yield* sha256(certificate.spki));
  const commonName = nameAttribute(certificate.subject, COMMON_NAME);
  if (spkiSha256 !== INTEL_ROOT_SPKI_SHA256 || commonName !== INTEL_ROOT_NAME) throw refusal("ANCHOR_NOT_INTEL");
}

function parseAnchor(der: Uint8Array): Certificate {
  try {
    return parseCertificate(der);
  } catch (error) {
    throw refusal("ANCHOR_MALFORMED", error);
  }
}
