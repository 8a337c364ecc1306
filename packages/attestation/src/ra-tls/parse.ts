import { createPublicKey, type KeyObject } from "node:crypto";
import { equalBytes, fromHex } from "@cloister/encoding";
import { parseCertificate, type Certificate } from "@cloister/encoding/x509";
import { refusal } from "../errors.ts";
import {
  decodeTaggedEvidence,
  INTENDED_LEGACY_QUOTE_OID,
  LEGACY_QUOTE_OID,
  TAGGED_EVIDENCE_OID,
  type TaggedEvidence,
} from "./evidence.ts";

const MAX_CERTIFICATE_BYTES = 32_768;
/** Header, report body and the length of the signature data. */
const MIN_QUOTE_BYTES = 436;
const RSA_BITS = 3072;
const RSA_EXPONENT = 65_537n;
const BASIC_CONSTRAINTS = "2.5.29.19";
const KEY_USAGE = "2.5.29.15";
const KNOWN_CRITICAL: ReadonlySet<string> = new Set([BASIC_CONSTRAINTS, KEY_USAGE]);

export type RaTlsKeyType = "p256" | "p384" | "rsa3072";

/** SubjectPublicKeyInfo of the named curves up to the coordinates of an uncompressed point (RFC 5480). */
const EC_SPKIS = [
  { keyType: "p256", length: 91, prefix: bytes("3059301306072a8648ce3d020106082a8648ce3d03010703420004") },
  { keyType: "p384", length: 120, prefix: bytes("3076301006072a8648ce3d020106052b8104002203620004") },
] as const;

/** An RA-TLS certificate as written: syntax was checked, no signature, no quote and no binding. */
export interface RaTlsEvidence {
  readonly certificate: Certificate;
  readonly keyType: RaTlsKeyType;
  readonly publicKey: KeyObject;
  /** SubjectPublicKeyInfo, DER: what the hashes of the bindings are over. */
  readonly spki: Uint8Array;
  /** The quote of the legacy extension; its report data are to hold the hash of `spki`. */
  readonly legacyQuote?: Uint8Array;
  /** The evidence extension; its quote's report data are to hold the hash of its claims. */
  readonly evidence?: TaggedEvidence;
}

/**
 * Reads a certificate of at most 32 KiB and the quotes in it. An extension that carries evidence must not be critical, and
 * the legacy one may stand under one of its two identifiers only.
 *
 * Throws `AttestationError` RA_TLS_CERTIFICATE_MALFORMED, RA_TLS_KEY_NOT_ALLOWED, RA_TLS_EVIDENCE_MISSING,
 * RA_TLS_EVIDENCE_MALFORMED or RA_TLS_PUBKEY_HASH_MISSING.
 */
export function parseRaTlsCertificate(der: Uint8Array): RaTlsEvidence {
  const certificate = parse(der);
  const { spki } = certificate;
  const { publicKey, keyType } = importKey(spki);
  const quotes = readQuotes(certificate);
  if (quotes.legacyQuote === undefined && quotes.evidence === undefined) throw refusal("RA_TLS_EVIDENCE_MISSING");
  for (const quote of [quotes.legacyQuote, quotes.evidence?.quote]) {
    if (quote !== undefined && quote.length < MIN_QUOTE_BYTES) throw refusal("RA_TLS_EVIDENCE_MALFORMED");
  }
  return { certificate, keyType, publicKey, spki, ...quotes };
}

function parse(der: Uint8Array): Certificate {
  if (der.length > MAX_CERTIFICATE_BYTES) throw refusal("RA_TLS_CERTIFICATE_MALFORMED");
  let certificate: Certificate;
  try {
    certificate = parseCertificate(der);
  } catch (cause) {
    throw refusal("RA_TLS_CERTIFICATE_MALFORMED", cause);
  }
  const unknownCritical = certificate.extensions.some(({ critical, oid }) => critical && !KNOWN_CRITICAL.has(oid));
  if (certificate.version !== 3 || unknownCritical) throw refusal("RA_TLS_CERTIFICATE_MALFORMED");
  return certificate;
}

function readQuotes({ extensions }: Certificate): Pick<RaTlsEvidence, "legacyQuote" | "evidence"> {
  const value = (oid: string) => extensions.find((extension) => extension.oid === oid)?.value;
  const malformedOid = value(LEGACY_QUOTE_OID);
  const intendedOid = value(INTENDED_LEGACY_QUOTE_OID);
  if (malformedOid !== undefined && intendedOid !== undefined) throw refusal("RA_TLS_CERTIFICATE_MALFORMED");
  const legacyQuote = malformedOid ?? intendedOid;
  const evidence = value(TAGGED_EVIDENCE_OID);
  return {
    ...(legacyQuote !== undefined && { legacyQuote }),
    ...(evidence !== undefined && { evidence: decodeTaggedEvidence(evidence) }),
  };
}

/** The key, only where its encoding is the usual one: a second encoding of the same key would have another hash. */
function importKey(spki: Uint8Array): Pick<RaTlsEvidence, "publicKey" | "keyType"> {
  let publicKey: KeyObject;
  try {
    publicKey = createPublicKey({ key: Buffer.from(spki), type: "spki", format: "der" });
  } catch (cause) {
    throw refusal("RA_TLS_KEY_NOT_ALLOWED", cause);
  }
  const curve = EC_SPKIS.find(({ prefix, length }) => {
    return spki.length === length && equalBytes(spki.subarray(0, prefix.length), prefix);
  });
  if (curve !== undefined) return { publicKey, keyType: curve.keyType };
  if (!isUsualRsa(publicKey, spki)) throw refusal("RA_TLS_KEY_NOT_ALLOWED");
  return { publicKey, keyType: "rsa3072" };
}

/** Asking a key for its encoding costs as much as a signature check, so it is done for the keys of old clients only. */
function isUsualRsa(key: KeyObject, spki: Uint8Array): boolean {
  const details = key.asymmetricKeyDetails;
  const isRsa = key.asymmetricKeyType === "rsa" && details?.modulusLength === RSA_BITS;
  const isAllowed = isRsa && details.publicExponent === RSA_EXPONENT;
  return isAllowed && equalBytes(key.export({ type: "spki", format: "der" }), spki);
}

function bytes(hex: string): Uint8Array {
  return fromHex(hex) ?? /* unreachable */ new Uint8Array();
}
