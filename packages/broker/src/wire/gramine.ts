import { concatBytes, equalBytes, utf8 } from "@cloister/encoding";

// Gramine's secret provisioning, after the TLS handshake (tools/sgx/ra-tls/secret_prov_common.h): the client sends a fixed
// request; the server answers a fixed prefix, the length of the secret and the secret.

/** 35 bytes: the text and its NUL. */
export const REQUEST: Uint8Array = utf8("SECRET_PROVISION_RA_TLS_REQUEST_V1\0");
const RESPONSE_PREFIX = utf8("SECRET_PROVISION_RA_TLS_RESPONSE_V1:\0");
/** Of the same length as the prefix of an answer, so that a stock client reads it whole and fails on it at once. */
const REFUSAL_PREFIX = utf8("CLOISTER_PROVISION_REFUSAL_FRAME_V1:\0");
/** Prefix and 32-bit big-endian length. */
export const HEADER_BYTES = 41;
const PREFIX_BYTES = HEADER_BYTES - 4;
/** The library's limit is INT_MAX; no secret of ours is longer than this. */
export const MAX_SECRET_BYTES = 4096;
export const MAX_REFUSAL_BYTES = 4096;

function frame(prefix: Uint8Array, body: Uint8Array): Uint8Array {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, body.length);
  return concatBytes(prefix, length, body);
}

/** Header and secret. The result holds the secret: wipe it after sending. */
export function encodeResponse(secret: Uint8Array): Uint8Array {
  return frame(RESPONSE_PREFIX, secret);
}

/** Tells a client of ours why it was refused, and lets a stock client fail. Codes only. */
export function encodeRefusal(codes: readonly string[]): Uint8Array {
  return frame(REFUSAL_PREFIX, utf8(codes.join("\n")));
}

/** Kind and length of what follows a header of 41 bytes; undefined for anything else. */
export function decodeHeader(header: Uint8Array): { kind: "secret" | "refusal"; length: number } | undefined {
  const prefix = header.subarray(0, PREFIX_BYTES);
  const length = new DataView(header.buffer, header.byteOffset, header.length).getUint32(PREFIX_BYTES);
  if (equalBytes(prefix, RESPONSE_PREFIX)) return { kind: "secret", length };
  return equalBytes(prefix, REFUSAL_PREFIX) ? { kind: "refusal", length } : undefined;
}
