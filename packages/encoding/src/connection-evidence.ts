import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { concatBytes, utf8 } from "./bytes.ts";
import { sha256 } from "@cloister/encoding/sha256";
import { EvidenceRequestSchema, EvidenceResponseSchema } from "./gen/cloister/attestation/v1/evidence_pb.js";

// Attested connections. Client and replica agree on the ALPN name below. The client then sends one message, the replica answers
// with evidence for this very connection, and only then HTTP/2 begins. See docs/reference/client.md.

/** ALPN name of HTTP/2 behind an exchange of evidence. */
export const ATTESTED_H2 = "cloister-attested-h2";
/** The same for HTTP/1.1, which carries REST. */
export const ATTESTED_HTTP1 = "cloister-attested-http1";
/** Label of the TLS exporter (RFC 5705, RFC 8446 section 7.5), with an empty context. */
export const EXPORTER_LABEL = "EXPORTER-cloister-attestation-v1";
export const EXPORTER_BYTES = 32;
export const NONCE_BYTES = 32;
/** Length of the number before each message. */
export const LENGTH_PREFIX_BYTES = 4;
export const MAX_EVIDENCE_REQUEST_BYTES = 64;
/** A quote is at most 16 KiB; collateral makes up the rest. */
export const MAX_EVIDENCE_RESPONSE_BYTES = 1024 * 1024;

const DOMAIN = utf8("cloister-attested-connection/1\0");
const DIGEST_BYTES = 32;
const REPORT_DATA_BYTES = 64;

/** What ties evidence to one connection of one server. 32 bytes each. */
export interface ConnectionBinding {
  /** The client's, fresh. */
  readonly nonce: Uint8Array;
  /** Both ends of a TLS connection export the same value; no other connection has it. */
  readonly exporter: Uint8Array;
  /** SHA-256 of the SubjectPublicKeyInfo of the server's certificate. */
  readonly publicKeySha256: Uint8Array;
}

/** What a replica shows; nothing in it is verified. */
export interface ShownEvidence {
  readonly quote: Uint8Array;
  /** Canonical JSON; empty where there is none. */
  readonly collateral: Uint8Array;
  /** Proof that the release of the replica's keys is in the log, canonical JSON; empty where there is none. */
  readonly releaseProof: Uint8Array;
}

/** The evidence for a connection, as sent. */
export interface ConnectionEvidence extends ConnectionBinding, ShownEvidence {}

/**
 * The 64 bytes of report data that a quote for this binding holds: SHA-256, then zeros. Every part has a fixed length, so no
 * two bindings have the same bytes. Throws RangeError for parts of another length.
 */
export function connectionReportData({ nonce, exporter, publicKeySha256 }: ConnectionBinding): Uint8Array {
  if (!hasFixedLengths({ nonce, exporter, publicKeySha256 }))
    throw new RangeError("each part of a binding is 32 bytes");
  const reportData = new Uint8Array(REPORT_DATA_BYTES);
  reportData.set(sha256(concatBytes(DOMAIN, nonce, exporter, publicKeySha256)));
  return reportData;
}

/** A request with its length before it. */
export function encodeEvidenceRequest(nonce: Uint8Array): Uint8Array {
  return prefixed(toBinary(EvidenceRequestSchema, create(EvidenceRequestSchema, { nonce: nonce.slice() })));
}

/** The nonce of a request without its length, or `undefined` where it is no such message. */
export function decodeEvidenceRequest(message: Uint8Array): Uint8Array | undefined {
  const { nonce } = tryDecode(() => fromBinary(EvidenceRequestSchema, message)) ?? {};
  return nonce?.length === NONCE_BYTES ? nonce : undefined;
}

/** A response with its length before it. */
export function encodeEvidenceResponse(evidence: ConnectionEvidence): Uint8Array {
  const { quote, nonce, exporter, publicKeySha256, collateral, releaseProof } = evidence;
  const message = create(EvidenceResponseSchema, {
    quote: quote.slice(),
    nonce: nonce.slice(),
    exporter: exporter.slice(),
    publicKeySha256: publicKeySha256.slice(),
    collateral: collateral.slice(),
    releaseProof: releaseProof.slice(),
  });
  return prefixed(toBinary(EvidenceResponseSchema, message));
}

/** A response without its length, or `undefined` where it is no such message. */
export function decodeEvidenceResponse(message: Uint8Array): ConnectionEvidence | undefined {
  const evidence = tryDecode(() => fromBinary(EvidenceResponseSchema, message));
  if (evidence === undefined || evidence.quote.length === 0 || !hasFixedLengths(evidence)) return undefined;
  const { quote, nonce, exporter, publicKeySha256, collateral, releaseProof } = evidence;
  return { quote, nonce, exporter, publicKeySha256, collateral, releaseProof };
}

/** The length that stands before a message. */
export function readLengthPrefix(prefix: Uint8Array): number {
  return new DataView(prefix.buffer, prefix.byteOffset, LENGTH_PREFIX_BYTES).getUint32(0);
}

function prefixed(message: Uint8Array): Uint8Array {
  const prefix = new Uint8Array(LENGTH_PREFIX_BYTES);
  new DataView(prefix.buffer).setUint32(0, message.length);
  return concatBytes(prefix, message);
}

function hasFixedLengths({ nonce, exporter, publicKeySha256 }: ConnectionBinding): boolean {
  return nonce.length === NONCE_BYTES && exporter.length === EXPORTER_BYTES && publicKeySha256.length === DIGEST_BYTES;
}

function tryDecode<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
