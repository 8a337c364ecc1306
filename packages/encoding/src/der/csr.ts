import { createPublicKey, verify, type KeyObject } from "node:crypto";
import { fromUtf8 } from "../bytes.ts";
import { DER_TAG, readDer, type DerReader } from "./der.ts";
import { element, integer, oid, sequence, set } from "./writer.ts";
import { EncodingError, type EncodingErrorCode } from "../encoding-error.ts";
import { encodeExtension } from "../x509/builder-extensions.ts";
import {
  encodeAlternativeNames,
  encodeName,
  isDnsName,
  type AlternativeNames,
  type DistinguishedName,
} from "../x509/builder-names.ts";
import { isSupportedKey, signed, subjectPublicKeyInfo } from "../x509/builder-signature.ts";
import { readAlgorithm, readExtensions, type AlgorithmIdentifier, type Extension } from "../x509/fields.ts";
import { readName } from "../x509/name.ts";

const EXTENSION_REQUEST = "1.2.840.113549.1.9.14";
const SUBJECT_ALTERNATIVE_NAME = "2.5.29.17";
const MAX_CSR_BYTES = 16_384;
const MAX_NAMES = 64;
const ATTRIBUTES = 0xa0;
const GENERAL_NAME_DNS = 0x82;
const GENERAL_NAME_IP = 0x87;

/** Signature algorithms that a request may be signed with, and the digest of each. */
const SIGNATURES: ReadonlyMap<string, { readonly digest: string; readonly keyType: string }> = new Map([
  ["1.2.840.10045.4.3.2", { digest: "sha256", keyType: "ec" }],
  ["1.2.840.10045.4.3.3", { digest: "sha384", keyType: "ec" }],
  ["1.2.840.113549.1.1.11", { digest: "sha256", keyType: "rsa" }],
  ["1.2.840.113549.1.1.12", { digest: "sha384", keyType: "rsa" }],
]);

export interface CsrFields extends AlternativeNames {
  readonly subject: DistinguishedName;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** A request whose signature was checked: its sender held the private key. What it asks for is for the CA to judge. */
export interface CertificateRequest {
  /** The Name as written, DER. */
  readonly subject: Uint8Array;
  readonly publicKey: KeyObject;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  readonly dnsNames: readonly string[];
  /** 4 or 16 bytes each. */
  readonly ipAddresses: readonly Uint8Array[];
}

/** A PKCS#10 request in DER (RFC 2986) that asks for subject alternative names, where any are given. */
export function buildCsr(fields: CsrFields): Uint8Array {
  const hasNames = (fields.dnsNames ?? []).length + (fields.ipAddresses ?? []).length > 0;
  const attributes = hasNames ? [extensionRequest(fields)] : [];
  const toBeSigned = sequence(
    integer(0),
    encodeName(fields.subject),
    subjectPublicKeyInfo(fields.publicKey),
    element(ATTRIBUTES, ...attributes),
  );
  return signed(toBeSigned, fields.privateKey);
}

function extensionRequest(names: AlternativeNames): Uint8Array {
  const extension = encodeExtension({ id: SUBJECT_ALTERNATIVE_NAME, value: encodeAlternativeNames(names) });
  return sequence(oid(EXTENSION_REQUEST), set(sequence(extension)));
}

/**
 * Reads a PKCS#10 request (RFC 2986) of at most 16 KiB and checks that it is signed by its own key.
 *
 * Throws `EncodingError` CSR_MALFORMED (also for an attribute or extension other than subject alternative names),
 * CSR_KEY_NOT_ALLOWED, CSR_SIGNATURE_INVALID, DER_MALFORMED, DER_TOO_LARGE or X509_MALFORMED.
 */
export function parseCsr(der: Uint8Array): CertificateRequest {
  const outer = readDer(der, { maxBytes: MAX_CSR_BYTES });
  const fields = outer.sequence();
  outer.end();
  const info = fields.element();
  const algorithm = readAlgorithm(fields);
  const signature = fields.wholeBitString();
  fields.end();
  const request = readInfo(fields.nested(info, DER_TAG.sequence));
  const digest = digestFor(algorithm, request.publicKey);
  if (!verify(digest, info.raw, { key: request.publicKey, dsaEncoding: "der" }, signature)) {
    throw refused("CSR_SIGNATURE_INVALID", "it is not signed by its own key");
  }
  return request;
}

function readInfo(reader: DerReader): CertificateRequest {
  if (reader.unsigned(0) !== 0) throw refused("CSR_MALFORMED", "it is not version 1");
  const subject = readName(reader).raw;
  const spki = reader.element().raw;
  const names = readAttributes(reader.enter(ATTRIBUTES));
  reader.end();
  return { subject, spki, publicKey: importKey(spki), ...names };
}

function readAttributes(reader: DerReader): Pick<CertificateRequest, "dnsNames" | "ipAddresses"> {
  if (reader.atEnd) return { dnsNames: [], ipAddresses: [] };
  const attribute = reader.sequence();
  reader.end();
  if (attribute.oid() !== EXTENSION_REQUEST) throw refused("CSR_MALFORMED", "it has an unknown attribute");
  const values = attribute.enter(DER_TAG.set);
  attribute.end();
  const extensions = readExtensions(values);
  values.end();
  return readNames(extensions);
}

function readNames(extensions: readonly Extension[]): Pick<CertificateRequest, "dnsNames" | "ipAddresses"> {
  const [extension, ...others] = extensions;
  if (extension?.oid !== SUBJECT_ALTERNATIVE_NAME || others.length > 0) {
    throw refused("CSR_MALFORMED", "it asks for an extension other than subject alternative names");
  }
  const outer = readDer(extension.value);
  const list = outer.sequence();
  outer.end();
  const dnsNames: string[] = [];
  const ipAddresses: Uint8Array[] = [];
  while (!list.atEnd) {
    const { tag, content } = list.element();
    if (tag === GENERAL_NAME_DNS) dnsNames.push(dnsName(content));
    else if (tag === GENERAL_NAME_IP && (content.length === 4 || content.length === 16)) ipAddresses.push(content);
    else throw refused("CSR_MALFORMED", "it asks for a name that is neither DNS nor IP");
    if (dnsNames.length + ipAddresses.length > MAX_NAMES) throw refused("CSR_MALFORMED", "it asks for too many names");
  }
  return { dnsNames, ipAddresses };
}

/** Names are compared as text later, so only one spelling of each is let through. */
function dnsName(content: Uint8Array): string {
  const name = fromUtf8(content);
  if (name === undefined || !isDnsName(name) || name !== name.toLowerCase()) {
    throw refused("CSR_MALFORMED", "a name it asks for is not a DNS name in lower case");
  }
  return name;
}

function importKey(spki: Uint8Array): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(spki), type: "spki", format: "der" });
  } catch (cause) {
    throw refused("CSR_KEY_NOT_ALLOWED", "its public key cannot be read", cause);
  }
  // A key that was written in another form (a compressed point, for example) would have a second hash.
  if (!isSupportedKey(key) || Buffer.compare(subjectPublicKeyInfo(key), spki) !== 0) {
    throw refused("CSR_KEY_NOT_ALLOWED", "its key is neither P-256 nor P-384 nor RSA of 2048 to 8192 bits");
  }
  return key;
}

function digestFor(algorithm: AlgorithmIdentifier, key: KeyObject): string {
  const known = SIGNATURES.get(algorithm.oid);
  if (known === undefined || known.keyType !== key.asymmetricKeyType) {
    throw refused("CSR_SIGNATURE_INVALID", "its signature algorithm is unknown or does not fit its key");
  }
  return known.digest;
}

function refused(code: EncodingErrorCode, why: string, cause?: unknown): EncodingError {
  const explanation = { what: "certificate request refused", why, remedy: "make a PKCS#10 request with a P-256 key" };
  return new EncodingError(code, explanation, cause === undefined ? undefined : { cause });
}
