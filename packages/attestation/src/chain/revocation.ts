import { equalBytes } from "@cloister/encoding";
import {
  EXTENSION_OID,
  findExtension,
  parseCrl,
  readCrlNumber,
  type Certificate,
  type CertificateRevocationList,
} from "@cloister/encoding/x509";
import type { CrlName } from "../appraisal/appraisal-codes.ts";
import { refusal } from "../errors.ts";
import type { Memory } from "../appraisal/memory.ts";
import type { Steps } from "../appraisal/steps.ts";
import { isEcdsaWithSha256, maySignCrls, type Role } from "./profile.ts";
import { isSignedBy } from "./signed-by.ts";
import { timeFault, type Validity } from "./validity.ts";

/** The chain that a service serves with the list of a PCK CA. */
export const CRL_ISSUER_ROLES: readonly Role[] = ["pck-ca", "root"];

/** A revocation list with its issuer's signature verified. */
export interface VerifiedCrl {
  readonly name: CrlName;
  readonly issuer: Certificate;
  readonly revokedSerials: ReadonlySet<string>;
  readonly number: bigint;
  readonly validity: Validity;
}

/**
 * Verifies a revocation list: version 2, this issuer's name and key, number and authority key id, no critical extension
 * (which would make it partial or indirect). Throws `AttestationError` with the list's codes.
 */
export function* recallCrl(memory: Memory, name: CrlName, der: Uint8Array, issuer: Certificate): Steps<VerifiedCrl> {
  return yield* memory.recall(`crl/${name}`, [der, issuer.raw], () => verifyCrl(name, der, issuer));
}

function* verifyCrl(name: CrlName, der: Uint8Array, issuer: Certificate): Steps<VerifiedCrl> {
  const crl = readCrl(name, der);
  if (!equalBytes(crl.list.issuer.raw, issuer.subject.raw)) throw refusal(`${name}_ISSUER_MISMATCH`);
  if (!isEcdsaWithSha256(crl.list.signatureAlgorithm) || !maySignCrls(issuer)) throw refusal(`${name}_MALFORMED`);
  if (!(yield* isSignedBy(crl.list, issuer))) throw refusal(`${name}_SIGNATURE_INVALID`);
  const { revokedSerials } = crl.list;
  return { name, issuer, revokedSerials, number: crl.number, validity: crl.validity };
}

/** Throws `AttestationError` *_EXPIRED or *_NOT_YET_VALID. */
export function checkCrlTime(crl: VerifiedCrl, time: Date): void {
  const fault = timeFault(crl.validity, time);
  if (fault !== undefined) throw refusal(`${crl.name}_${fault}`);
}

/** Serial numbers are unique per issuer only, so the list counts for certificates of its own issuer. */
export function isRevoked(certificate: Certificate, crl: VerifiedCrl): boolean {
  return equalBytes(certificate.issuer.raw, crl.issuer.subject.raw) && crl.revokedSerials.has(certificate.serial);
}

function readCrl(
  name: CrlName,
  der: Uint8Array,
): { list: CertificateRevocationList; number: bigint; validity: Validity } {
  try {
    const list = parseCrl(der);
    const number = findExtension(list, EXTENSION_OID.crlNumber);
    const authorityKey = findExtension(list, EXTENSION_OID.authorityKeyIdentifier);
    const hasCritical = list.hasCriticalEntryExtension || list.extensions.some(({ critical }) => critical);
    if (number === undefined || authorityKey === undefined || list.nextUpdate === undefined || hasCritical) {
      throw refusal(`${name}_MALFORMED`);
    }
    const validity = { from: list.thisUpdate, until: list.nextUpdate };
    return { list, number: readCrlNumber(number.value), validity };
  } catch (error) {
    throw refusal(`${name}_MALFORMED`, error);
  }
}
