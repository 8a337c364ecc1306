import { concatBytes, fromUtf8, utf8 } from "./bytes.ts";

// What is inside the records of a sealed session: one request, one answer. Numbers are big endian.
// Request: kind u8, length of the path u16, path, body.
// Answer: status u16, length of the text u16, text, body.

/** `grpc`: a method's path and its message. The others are HTTP requests of the REST API. */
export type SealedKind = "grpc" | "GET" | "POST";

const KINDS: readonly SealedKind[] = ["grpc", "GET", "POST"];
const REQUEST_HEADER_BYTES = 3;
const ANSWER_HEADER_BYTES = 4;
const MAX_TEXT_BYTES = 2 ** 16 - 1;

export interface SealedRequest {
  readonly kind: SealedKind;
  readonly path: string;
  readonly body: Uint8Array;
}

export interface SealedAnswer {
  /** gRPC's status code, or HTTP's. */
  readonly status: number;
  /** gRPC's status text where the call failed, and the replica's name where it did not; a REST answer's content type. */
  readonly text: string;
  readonly body: Uint8Array;
}

export function encodeSealedRequest({ kind, path, body }: SealedRequest): Uint8Array {
  const pathBytes = boundedUtf8(path);
  const header = new DataView(new ArrayBuffer(REQUEST_HEADER_BYTES));
  header.setUint8(0, KINDS.indexOf(kind));
  header.setUint16(1, pathBytes.length);
  return concatBytes(new Uint8Array(header.buffer), pathBytes, body);
}

/** `undefined` where the bytes are no request. The body is a view. */
export function decodeSealedRequest(bytes: Uint8Array): SealedRequest | undefined {
  if (bytes.length < REQUEST_HEADER_BYTES) return undefined;
  const header = new DataView(bytes.buffer, bytes.byteOffset, REQUEST_HEADER_BYTES);
  const kind = KINDS[header.getUint8(0)];
  const bodyAt = REQUEST_HEADER_BYTES + header.getUint16(1);
  const path = bodyAt <= bytes.length ? fromUtf8(bytes.subarray(REQUEST_HEADER_BYTES, bodyAt)) : undefined;
  if (kind === undefined || path === undefined) return undefined;
  return { kind, path, body: bytes.subarray(bodyAt) };
}

export function encodeSealedAnswer({ status, text, body }: SealedAnswer): Uint8Array {
  const textBytes = boundedUtf8(text);
  const header = new DataView(new ArrayBuffer(ANSWER_HEADER_BYTES));
  header.setUint16(0, status);
  header.setUint16(2, textBytes.length);
  return concatBytes(new Uint8Array(header.buffer), textBytes, body);
}

/** `undefined` where the bytes are no answer. The body is a view. */
export function decodeSealedAnswer(bytes: Uint8Array): SealedAnswer | undefined {
  if (bytes.length < ANSWER_HEADER_BYTES) return undefined;
  const header = new DataView(bytes.buffer, bytes.byteOffset, ANSWER_HEADER_BYTES);
  const bodyAt = ANSWER_HEADER_BYTES + header.getUint16(2);
  const text = bodyAt <= bytes.length ? fromUtf8(bytes.subarray(ANSWER_HEADER_BYTES, bodyAt)) : undefined;
  return text === undefined ? undefined : { status: header.getUint16(0), text, body: bytes.subarray(bodyAt) };
}

/** Throws RangeError for a text that is longer than its length field holds. */
function boundedUtf8(text: string): Uint8Array {
  const bytes = utf8(text);
  if (bytes.length > MAX_TEXT_BYTES) throw new RangeError("the text is too long");
  return bytes;
}
