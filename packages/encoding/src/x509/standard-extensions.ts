import { readDer } from "../der/der.ts";
import type { Extension } from "./fields.ts";
import { x509Malformed } from "./malformed.ts";

/** OIDs of the standard extensions (RFC 5280, 4.2.1 and 5.2). */
export const EXTENSION_OID = {
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAlternativeName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  crlNumber: "2.5.29.20",
  crlDistributionPoints: "2.5.29.31",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
} as const;

/** BasicConstraints (RFC 5280, 4.2.1.9). */
export interface BasicConstraints {
  readonly isCa: boolean;
  readonly pathLength?: number;
}

const KEY_USAGE_BITS = [
  "digitalSignature",
  "nonRepudiation",
  "keyEncipherment",
  "dataEncipherment",
  "keyAgreement",
  "keyCertSign",
  "cRLSign",
  "encipherOnly",
  "decipherOnly",
] as const;

export type KeyUsage = (typeof KEY_USAGE_BITS)[number];

const MAX_PATH_LENGTH = 255;
const MAX_NUMBER_BYTES = 20;

/** The extension with this OID. */
export function findExtension(
  holder: { readonly extensions: readonly Extension[] },
  oid: string,
): Extension | undefined {
  return holder.extensions.find((extension) => extension.oid === oid);
}

/** Reads the value of a BasicConstraints extension. Throws `EncodingError` DER_MALFORMED or X509_MALFORMED. */
export function readBasicConstraints(value: Uint8Array): BasicConstraints {
  const outer = readDer(value);
  const fields = outer.sequence();
  outer.end();
  if (fields.atEnd) return { isCa: false };
  if (!fields.boolean()) throw x509Malformed("a default value is written out");
  if (fields.atEnd) return { isCa: true };
  const pathLength = fields.unsigned(MAX_PATH_LENGTH);
  fields.end();
  return { isCa: true, pathLength };
}

/** Reads the value of a KeyUsage extension (RFC 5280, 4.2.1.3). Throws `EncodingError` DER_MALFORMED. */
export function readKeyUsage(value: Uint8Array): ReadonlySet<KeyUsage> {
  const reader = readDer(value);
  const { bytes } = reader.bitString();
  reader.end();
  return new Set(KEY_USAGE_BITS.filter((_, bit) => (((bytes[bit >> 3] ?? 0) << (bit & 7)) & 0x80) !== 0));
}

/** Reads the value of a CRLNumber extension (RFC 5280, 5.2.3). Throws `EncodingError` DER_MALFORMED or X509_MALFORMED. */
export function readCrlNumber(value: Uint8Array): bigint {
  const reader = readDer(value);
  const bytes = reader.unsignedBytes();
  reader.end();
  if (bytes.length > MAX_NUMBER_BYTES) throw x509Malformed("a CRL number is longer than 20 bytes");
  return bytes.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);
}
