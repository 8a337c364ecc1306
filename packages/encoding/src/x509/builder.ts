import { randomBytes, type KeyObject } from "node:crypto";
import { contextExplicit, enumerated, integer, sequence, x509Time } from "../der/writer.ts";
import { EncodingError } from "../encoding-error.ts";
import {
  authorityKeyIdentifierExtension,
  encodeCertificateExtensions,
  encodeExtension,
  subjectKeyIdentifierExtension,
  type CertificateExtensions,
} from "./builder-extensions.ts";
import { encodeName, type DistinguishedName } from "./builder-names.ts";
import {
  keyIdentifier,
  signatureAlgorithm,
  signed,
  subjectPublicKeyInfo,
  type SignatureHash,
} from "./builder-signature.ts";

export type { CertificateExtensions, ExtendedKeyUsage, KeyUsage, RawExtension } from "./builder-extensions.ts";
export type { AlternativeNames, DistinguishedName, NameAttribute } from "./builder-names.ts";
export { buildCsr, parseCsr, type CertificateRequest, type CsrFields } from "../der/csr.ts";
export { ipAddressBytes, isDnsName } from "./builder-names.ts";
export { isSupportedKey, keyIdentifier, subjectPublicKeyInfo, type SignatureHash } from "./builder-signature.ts";

/** Who signs. For a self-signed certificate this is the subject itself. */
export interface Issuer {
  readonly name: DistinguishedName;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  /** Default SHA-256, with a P-384 key SHA-384. */
  readonly hash?: SignatureHash;
}

export interface CertificateFields extends CertificateExtensions {
  readonly subject: DistinguishedName;
  readonly publicKey: KeyObject;
  /** Both ends belong to the validity. Milliseconds are cut off. */
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Unsigned big-endian, 1 to 20 bytes. Default: 16 random bytes. */
  readonly serial?: Uint8Array;
}

export interface RevokedCertificate {
  /** Unsigned big-endian. */
  readonly serial: Uint8Array;
  readonly revokedAt: Date;
  /** CRLReason (RFC 5280, section 5.3.1), for example 1 for a key compromise. */
  readonly reason?: number;
}

export interface CrlFields {
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  readonly number: number;
  readonly revoked: readonly RevokedCertificate[];
}

/**
 * A signed X.509 v3 certificate in DER (RFC 5280) with subject and authority key identifiers.
 * Throws `EncodingError` X509_VALUE_NOT_ALLOWED for a value that a certificate cannot hold.
 */
export function buildCertificate(fields: CertificateFields, issuer: Issuer): Uint8Array {
  const { notBefore, notAfter } = fields;
  if (!(notBefore <= notAfter)) throw notAllowed("a validity that ends before it begins");
  const extensions = sequence(
    subjectKeyIdentifierExtension(keyIdentifier(fields.publicKey)),
    authorityKeyIdentifierExtension(keyIdentifier(issuer.publicKey)),
    ...encodeCertificateExtensions(fields),
  );
  const toBeSigned = sequence(
    contextExplicit(0, integer(2)),
    serialNumber(fields.serial ?? randomSerial()),
    signatureAlgorithm(issuer.privateKey, issuer.hash),
    encodeName(issuer.name),
    sequence(x509Time(notBefore), x509Time(notAfter)),
    encodeName(fields.subject),
    subjectPublicKeyInfo(fields.publicKey),
    contextExplicit(3, extensions),
  );
  return signed(toBeSigned, issuer.privateKey, issuer.hash);
}

/** A signed v2 revocation list in DER (RFC 5280, section 5). Without revoked certificates the list is absent. */
export function buildCrl(fields: CrlFields, issuer: Issuer): Uint8Array {
  const revoked = fields.revoked.map(revokedEntry);
  const extensions = sequence(
    authorityKeyIdentifierExtension(keyIdentifier(issuer.publicKey)),
    encodeExtension({ id: "2.5.29.20", value: integer(fields.number) }),
  );
  const toBeSigned = sequence(
    integer(1),
    signatureAlgorithm(issuer.privateKey, issuer.hash),
    encodeName(issuer.name),
    x509Time(fields.thisUpdate),
    x509Time(fields.nextUpdate),
    ...(revoked.length === 0 ? [] : [sequence(...revoked)]),
    contextExplicit(0, extensions),
  );
  return signed(toBeSigned, issuer.privateKey, issuer.hash);
}

/** 16 random bytes, the first neither zero nor with its top bit set: positive, and of one length everywhere. */
export function randomSerial(): Uint8Array {
  const serial = new Uint8Array(randomBytes(16));
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}

function revokedEntry({ serial, revokedAt, reason }: RevokedCertificate): Uint8Array {
  const extensions =
    reason === undefined ? [] : [sequence(encodeExtension({ id: "2.5.29.21", value: enumerated(reason) }))];
  return sequence(serialNumber(serial), x509Time(revokedAt), ...extensions);
}

function serialNumber(serial: Uint8Array): Uint8Array {
  const encoded = integer(serial);
  // Tag and length before at most 20 octets (RFC 5280, section 4.1.2.2).
  if (encoded.length > 22 || serial.every((byte) => byte === 0)) throw notAllowed("a serial that is zero or too long");
  return encoded;
}

function notAllowed(why: string): EncodingError {
  return new EncodingError("X509_VALUE_NOT_ALLOWED", {
    what: "certificate not built",
    why,
    remedy: "correct the field",
  });
}
