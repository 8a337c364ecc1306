import { decodeCbor, encodeCbor, type CborTagged, type CborValue } from "@cloister/encoding/cbor";
import { refusal } from "../errors.ts";

/** Extension of a bare quote, as Gramine really writes it: a header went into the identifier's content by mistake. */
export const LEGACY_QUOTE_OID = "0.6.9.42.840.113741.1337.6";
/** The identifier that was meant. */
export const INTENDED_LEGACY_QUOTE_OID = "1.2.840.113741.1337.6";
/** TCG DICE tagged evidence (DICE Attestation Architecture, section 6.1.1; Gramine since 1.8). */
export const TAGGED_EVIDENCE_OID = "2.23.133.5.4.9";

const TAG_TEE_EVIDENCE = 60_000;
const CLAIM_PUBKEY_HASH = "pubkey-hash";
const CLAIM_NONCE = "nonce";
const MAX_EVIDENCE_BYTES = 20_480;
const MAX_NONCE_BYTES = 64;

/** Digests by their number in the IANA Named Information registry. */
const HASH_BY_ID: ReadonlyMap<CborValue, { readonly name: KeyHashName; readonly bytes: number }> = new Map([
  [1, { name: "sha256", bytes: 32 }],
  [7, { name: "sha384", bytes: 48 }],
  [8, { name: "sha512", bytes: 64 }],
]);
const SHA256_ID = 1;

export type KeyHashName = "sha256" | "sha384" | "sha512";

/** Contents of the tagged evidence extension. Nothing in it is verified. */
export interface TaggedEvidence {
  readonly quote: Uint8Array;
  /** The claims as they stand in the certificate: the quote's report data hold their SHA-256. */
  readonly claims: Uint8Array;
  /** Digest of the SubjectPublicKeyInfo that the claims name. */
  readonly pubkeyHash: { readonly name: KeyHashName; readonly digest: Uint8Array };
  readonly nonce?: Uint8Array;
}

/** Claims that name a key, and a nonce where one is given, in deterministic CBOR. */
export function encodeClaims(publicKeySha256: Uint8Array, nonce?: Uint8Array): Uint8Array {
  const claims = new Map<string, CborValue>([[CLAIM_PUBKEY_HASH, encodeCbor([SHA256_ID, publicKeySha256])]]);
  if (nonce !== undefined) claims.set(CLAIM_NONCE, nonce);
  return encodeCbor(claims);
}

/** Value of the tagged evidence extension. */
export function encodeTaggedEvidence(quote: Uint8Array, claims: Uint8Array): Uint8Array {
  return encodeCbor({ tag: TAG_TEE_EVIDENCE, value: [quote, claims] });
}

/**
 * Reads the value of the tagged evidence extension. Unknown claims are let through, `pubkey-hash` must be there: a map of
 * deterministic CBOR cannot hold it twice.
 *
 * Throws `AttestationError` RA_TLS_EVIDENCE_MALFORMED or RA_TLS_PUBKEY_HASH_MISSING.
 */
export function decodeTaggedEvidence(value: Uint8Array): TaggedEvidence {
  const evidence = decode(value);
  if (!isTagged(evidence) || evidence.tag !== TAG_TEE_EVIDENCE || !Array.isArray(evidence.value)) throw malformed();
  const [quote, claims, ...more] = evidence.value as readonly CborValue[];
  if (!(quote instanceof Uint8Array && claims instanceof Uint8Array) || more.length > 0) throw malformed();
  return { quote, claims, ...readClaims(claims) };
}

function readClaims(bytes: Uint8Array): Pick<TaggedEvidence, "pubkeyHash" | "nonce"> {
  const claims = decode(bytes);
  if (!(claims instanceof Map)) throw malformed();
  const map = claims as ReadonlyMap<string | number, CborValue>;
  if (![...map.keys()].every((key) => typeof key === "string")) throw malformed();
  const hash = map.get(CLAIM_PUBKEY_HASH);
  if (hash === undefined) throw refusal("RA_TLS_PUBKEY_HASH_MISSING");
  const nonce = map.get(CLAIM_NONCE);
  if (nonce === undefined) return { pubkeyHash: readHash(hash) };
  if (!(nonce instanceof Uint8Array) || nonce.length > MAX_NONCE_BYTES) throw malformed();
  return { pubkeyHash: readHash(hash), nonce };
}

/** A hash entry: `[identifier, digest]`, encoded once more inside a byte string. */
function readHash(value: CborValue): TaggedEvidence["pubkeyHash"] {
  const entry = value instanceof Uint8Array ? decode(value) : undefined;
  if (!Array.isArray(entry)) throw malformed();
  const [id, digest, ...more] = entry as readonly CborValue[];
  const hash = more.length > 0 || id === undefined ? undefined : HASH_BY_ID.get(id);
  if (hash === undefined || !(digest instanceof Uint8Array) || digest.length !== hash.bytes) throw malformed();
  return { name: hash.name, digest };
}

function decode(bytes: Uint8Array): CborValue {
  try {
    return decodeCbor(bytes, { maxBytes: MAX_EVIDENCE_BYTES });
  } catch (cause) {
    throw refusal("RA_TLS_EVIDENCE_MALFORMED", cause);
  }
}

function isTagged(value: CborValue): value is CborTagged {
  return typeof value === "object" && value !== null && "tag" in value;
}

function malformed() {
  return refusal("RA_TLS_EVIDENCE_MALFORMED");
}
