import { equalBytes, fromUtf8, utf8 } from "@cloister/encoding";
import { parsePem } from "@cloister/encoding/pem";
import { parseCertificate, type Certificate } from "@cloister/encoding/x509";
import type { ChainFault, ChainName } from "../appraisal/appraisal-codes.ts";
import { refusal } from "../errors.ts";
import type { Memory } from "../appraisal/memory.ts";
import type { Steps } from "../appraisal/steps.ts";
import { isIssueOf, type LoadedAnchor } from "./anchor.ts";
import { hasProfile, hasRole, type Role } from "./profile.ts";
import { isSignedBy } from "./signed-by.ts";
import { timeFault } from "./validity.ts";

const MAX_CHAIN_BYTES = 64 * 1024;

/** Certificates of a PEM text, in its order. Throws `AttestationError` *_MALFORMED. */
export function parseChain(name: ChainName, pem: Uint8Array | string): readonly Certificate[] {
  try {
    const text = typeof pem === "string" ? pem : fromUtf8(pem);
    if (text === undefined || text.length > MAX_CHAIN_BYTES) throw fault(name, "MALFORMED");
    return parsePem(text, "CERTIFICATE").map(parseCertificate);
  } catch (error) {
    throw fault(name, "MALFORMED", error);
  }
}

/**
 * Verifies a chain, leaf first and root last, against an anchor: exact length, names, profile, role and signatures
 * (dcap.md C.3). Dates and revocation come after, on every use. Throws `AttestationError` with the chain's codes.
 */
export function* verifyChain(
  memory: Memory,
  name: ChainName,
  chain: readonly Certificate[],
  roles: readonly Role[],
  anchor: LoadedAnchor,
): Steps<void> {
  if (chain.length !== roles.length) throw fault(name, "LENGTH");
  let issuer: Certificate | undefined;
  for (const [depth, certificate] of chain.toReversed().entries()) {
    const role = roles.at(-1 - depth);
    if (issuer === undefined || role === undefined) yield* verifyRoot(name, certificate, anchor);
    else yield* recallLink(memory, name, certificate, issuer, role);
    issuer = certificate;
  }
}

/** Throws `AttestationError` *_EXPIRED or *_NOT_YET_VALID for the first certificate, from the root down, out of its dates. */
export function checkChainTime(name: ChainName, chain: readonly Certificate[], time: Date): void {
  for (const certificate of chain.toReversed()) {
    const found = timeFault({ from: certificate.notBefore, until: certificate.notAfter }, time);
    if (found !== undefined) throw fault(name, found);
  }
}

/** `parseChain` and `verifyChain`, once for the same bytes under the same anchor. */
export function* recallChain(
  memory: Memory,
  name: ChainName,
  pem: string,
  roles: readonly Role[],
  anchor: LoadedAnchor,
): Steps<readonly Certificate[]> {
  const inputs = [utf8(pem), anchor.certificate.raw];
  return yield* memory.recall(`chain/${roles.join("/")}`, inputs, () => readChain(memory, name, pem, roles, anchor));
}

function* readChain(
  memory: Memory,
  name: ChainName,
  pem: string,
  roles: readonly Role[],
  anchor: LoadedAnchor,
): Steps<readonly Certificate[]> {
  const chain = parseChain(name, pem);
  yield* verifyChain(memory, name, chain, roles, anchor);
  return chain;
}

/** The chain's root must be the anchor, or another certificate of the anchor's key and name (dcap.md C.3). */
function* verifyRoot(name: ChainName, root: Certificate, anchor: LoadedAnchor): Steps<void> {
  if (!isIssueOf(root, anchor)) throw fault(name, "ROOT_NOT_TRUSTED");
  if (equalBytes(root.raw, anchor.certificate.raw)) return;
  if (!hasProfile(root, "root")) throw fault(name, "PROFILE");
  if (!(yield* isSignedBy(root, anchor.certificate))) throw fault(name, "SIGNATURE_INVALID");
}

/** The same certificate often stands in two chains of one appraisal. */
function* recallLink(
  memory: Memory,
  name: ChainName,
  certificate: Certificate,
  issuer: Certificate,
  role: Role,
): Steps<void> {
  const inputs = [certificate.raw, issuer.raw];
  yield* memory.recall(`link/${role}`, inputs, () => verifyLink(name, certificate, issuer, role));
}

function* verifyLink(name: ChainName, certificate: Certificate, issuer: Certificate, role: Role): Steps<true> {
  if (!equalBytes(certificate.issuer.raw, issuer.subject.raw)) throw fault(name, "NAME_MISMATCH");
  if (!hasProfile(certificate, role)) throw fault(name, "PROFILE");
  if (!hasRole(certificate, role)) throw fault(name, "ROLE");
  if (!(yield* isSignedBy(certificate, issuer))) throw fault(name, "SIGNATURE_INVALID");
  return true;
}

function fault(name: ChainName, kind: ChainFault, cause?: unknown): Error {
  return refusal(`${name}_${kind}`, cause);
}
