import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { sha256 } from "@cloister/encoding/sha256";
import { concatBytes, utf8 } from "./bytes.ts";
import type { ShownEvidence } from "./connection-evidence.ts";
import { SessionRequestSchema, SessionResponseSchema } from "./gen/cloister/attestation/v1/evidence_pb.js";

// Sessions for clients that cannot see the TLS connection they talk over: web pages. Client and enclave each make a key for the
// session, the quote is over both and the client's nonce, and what they agree on seals every request and answer. So it does not
// matter who ends the TLS connection. See docs/reference/client.md; the records are in sealed-records.ts.

export const SESSION_PATH = "/v1/cloister/session";
export const SEALED_PATH = "/v1/cloister/sealed";
export const MAX_SESSION_REQUEST_BYTES = 256;

const DOMAIN = utf8("cloister-sealed-session/1\0");
const NONCE_BYTES = 32;
/** An uncompressed point on P-256. */
const POINT_BYTES = 65;
const DIGEST_BYTES = 32;
const REPORT_DATA_BYTES = 64;

/** What ties evidence to one session. */
export interface SessionBinding {
  /** The client's, fresh; 32 bytes. */
  readonly nonce: Uint8Array;
  /** P-256, 65 bytes. */
  readonly clientKey: Uint8Array;
  /** P-256, 65 bytes: the enclave's key of this session. */
  readonly sessionKey: Uint8Array;
  /** SHA-256 of the SubjectPublicKeyInfo of the serving key; zeros where there is none. */
  readonly publicKeySha256: Uint8Array;
}

/** The client's part of a session. */
export type SessionRequest = Pick<SessionBinding, "nonce" | "clientKey">;

/** The replica's part; nothing in it is verified. */
export interface SessionEvidence extends Omit<SessionBinding, "clientKey">, ShownEvidence {}

/** SHA-256 over the binding: names the session and salts its keys. Throws RangeError for parts of another length. */
export function sessionDigest({ nonce, clientKey, sessionKey, publicKeySha256 }: SessionBinding): Uint8Array {
  if (
    nonce.length !== NONCE_BYTES ||
    clientKey.length !== POINT_BYTES ||
    sessionKey.length !== POINT_BYTES ||
    publicKeySha256.length !== DIGEST_BYTES
  )
    throw new RangeError("the parts of a binding have fixed lengths");
  return sha256(concatBytes(DOMAIN, nonce, clientKey, sessionKey, publicKeySha256));
}

/** The 64 bytes of report data that a quote for this session holds: its digest, then zeros. */
export function sessionReportData(binding: SessionBinding): Uint8Array {
  const reportData = new Uint8Array(REPORT_DATA_BYTES);
  reportData.set(sessionDigest(binding));
  return reportData;
}

export function encodeSessionRequest({ nonce, clientKey }: SessionRequest): Uint8Array {
  const message = create(SessionRequestSchema, { nonce: nonce.slice(), clientKey: clientKey.slice() });
  return toBinary(SessionRequestSchema, message);
}

/** `undefined` where the bytes are no such message. */
export function decodeSessionRequest(bytes: Uint8Array): SessionRequest | undefined {
  try {
    const { nonce, clientKey } = fromBinary(SessionRequestSchema, bytes);
    return nonce.length === NONCE_BYTES && clientKey.length === POINT_BYTES ? { nonce, clientKey } : undefined;
  } catch {
    return undefined;
  }
}

export function encodeSessionResponse(evidence: SessionEvidence): Uint8Array {
  const { quote, nonce, sessionKey, publicKeySha256, collateral, releaseProof } = evidence;
  const message = create(SessionResponseSchema, {
    quote: quote.slice(),
    nonce: nonce.slice(),
    sessionKey: sessionKey.slice(),
    publicKeySha256: publicKeySha256.slice(),
    collateral: collateral.slice(),
    releaseProof: releaseProof.slice(),
  });
  return toBinary(SessionResponseSchema, message);
}

/** `undefined` where the bytes are no such message. */
export function decodeSessionResponse(bytes: Uint8Array): SessionEvidence | undefined {
  try {
    const { quote, nonce, sessionKey, publicKeySha256, collateral, releaseProof } = fromBinary(
      SessionResponseSchema,
      bytes,
    );
    const hasLengths =
      quote.length > 0 &&
      nonce.length === NONCE_BYTES &&
      sessionKey.length === POINT_BYTES &&
      publicKeySha256.length === DIGEST_BYTES;
    return hasLengths ? { quote, nonce, sessionKey, publicKeySha256, collateral, releaseProof } : undefined;
  } catch {
    return undefined;
  }
}
