import { DER_TAG, readDer, type DerReader } from "../der/der.ts";
import {
  readAlgorithm,
  readExtensions,
  readSerial,
  sameAlgorithm,
  type AlgorithmIdentifier,
  type Extension,
} from "./fields.ts";
import { x509Malformed } from "./malformed.ts";
import { readName, type DistinguishedName } from "./name.ts";
import { readTime } from "./time.ts";

/** An X.509 certificate as written: nothing in it is verified. Byte strings are views of the input. */
export interface Certificate {
  /** The whole certificate, DER. */
  readonly raw: Uint8Array;
  /** The signed part, DER. */
  readonly tbs: Uint8Array;
  readonly version: 1 | 2 | 3;
  /** Lower-case hex of the serial number without the sign byte of its DER form. */
  readonly serial: string;
  readonly signatureAlgorithm: AlgorithmIdentifier;
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  readonly publicKeyAlgorithm: AlgorithmIdentifier;
  /** Content of the subjectPublicKey BIT STRING (for an EC key the point). */
  readonly publicKey: Uint8Array;
  /** No two have the same OID. */
  readonly extensions: readonly Extension[];
  /** Content of the signature BIT STRING (for ECDSA a DER SEQUENCE of r and s). */
  readonly signature: Uint8Array;
}

const MAX_CERTIFICATE_BYTES = 1 << 16;
const EXPLICIT_VERSION = 0xa0;
const ISSUER_UNIQUE_ID = 0x81;
const SUBJECT_UNIQUE_ID = 0x82;
const EXPLICIT_EXTENSIONS = 0xa3;

/**
 * Reads one certificate (RFC 5280, 4.1), at most 64 KiB, nothing after it. Syntax only: no signature, date or extension
 * content is checked, but the inner and outer signature algorithms are equal and no extension is there twice.
 *
 * Throws `EncodingError` DER_MALFORMED, DER_TOO_LARGE or X509_MALFORMED.
 */
export function parseCertificate(der: Uint8Array): Certificate {
  const outer = readDer(der, { maxBytes: MAX_CERTIFICATE_BYTES });
  const fields = outer.sequence();
  outer.end();
  const tbsElement = fields.element();
  const outerAlgorithm = readAlgorithm(fields);
  const signature = fields.wholeBitString();
  fields.end();
  const tbs = readTbs(fields.nested(tbsElement, DER_TAG.sequence));
  if (!sameAlgorithm(tbs.signatureAlgorithm, outerAlgorithm)) {
    throw x509Malformed("the signed and the outer signature algorithm differ");
  }
  return { raw: der, tbs: tbsElement.raw, ...tbs, signature };
}

function readTbs(reader: DerReader): Omit<Certificate, "raw" | "tbs" | "signature"> {
  const version = readVersion(reader);
  const serial = readSerial(reader);
  const signatureAlgorithm = readAlgorithm(reader);
  const issuer = readName(reader);
  const validity = reader.sequence();
  const notBefore = readTime(validity);
  const notAfter = readTime(validity);
  validity.end();
  const subject = readName(reader);
  const key = readPublicKey(reader);
  for (const tag of [ISSUER_UNIQUE_ID, SUBJECT_UNIQUE_ID]) {
    if (reader.peekTag() === tag) throw x509Malformed("unique identifiers are not supported");
  }
  const extensions = readCertificateExtensions(reader, version);
  reader.end();
  return { version, serial, signatureAlgorithm, issuer, subject, notBefore, notAfter, ...key, extensions };
}

function readVersion(reader: DerReader): Certificate["version"] {
  const explicit = reader.enterOptional(EXPLICIT_VERSION);
  if (explicit === undefined) return 1;
  const number = explicit.unsigned(2);
  explicit.end();
  // Version 1 is the default, and DER leaves defaults out.
  if (number === 0) throw x509Malformed("a default value is written out");
  return number === 1 ? 2 : 3;
}

function readPublicKey(reader: DerReader): Pick<Certificate, "spki" | "publicKeyAlgorithm" | "publicKey"> {
  const element = reader.element();
  const fields = reader.nested(element, DER_TAG.sequence);
  const publicKeyAlgorithm = readAlgorithm(fields);
  const publicKey = fields.wholeBitString();
  fields.end();
  return { spki: element.raw, publicKeyAlgorithm, publicKey };
}

function readCertificateExtensions(reader: DerReader, version: number): readonly Extension[] {
  const explicit = reader.enterOptional(EXPLICIT_EXTENSIONS);
  if (explicit === undefined) return [];
  if (version !== 3) throw x509Malformed("extensions in a certificate that is not version 3");
  const extensions = readExtensions(explicit);
  explicit.end();
  return extensions;
}
