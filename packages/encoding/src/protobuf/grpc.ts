/** gRPC over HTTP/2 without the transport: status codes, message prefix, time-outs, status texts. (grpc PROTOCOL-HTTP2.md) */
import { EncodingError } from "../encoding-error.ts";
import { fromUtf8, utf8 } from "../bytes.ts";

/** Status codes by name; the numbers go over the wire. */
export const GRPC_STATUS = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export type GrpcStatusName = keyof typeof GRPC_STATUS;

const NAMES = Object.keys(GRPC_STATUS) as GrpcStatusName[];

/** The name of a `grpc-status` header; UNKNOWN where it is absent or not one of the defined codes. */
export function grpcStatusName(header: string | undefined): GrpcStatusName {
  if (header === undefined || !/^\d{1,2}$/.test(header)) return "UNKNOWN";
  return NAMES[Number(header)] ?? "UNKNOWN";
}

/** Bytes before each message: a compression flag, then the length as a big-endian u32. */
export const GRPC_PREFIX_LENGTH = 5;

/** Writes the prefix of an uncompressed message into the first five bytes of `frame`; the message is the rest of it. */
export function writeGrpcPrefix(frame: Uint8Array): void {
  frame[0] = 0;
  new DataView(frame.buffer, frame.byteOffset, frame.byteLength).setUint32(1, frame.length - GRPC_PREFIX_LENGTH);
}

/** A new array with the prefix and the message. Writers that can leave room for the prefix save this copy. */
export function frameGrpcMessage(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(GRPC_PREFIX_LENGTH + message.length);
  frame.set(message, GRPC_PREFIX_LENGTH);
  writeGrpcPrefix(frame);
  return frame;
}

const UNIT_MS = new Map([
  ["H", 3_600_000],
  ["M", 60_000],
  ["S", 1000],
  ["m", 1],
  ["u", 1e-3],
  ["n", 1e-6],
]);

/** Milliseconds of a `grpc-timeout` header: 1 to 8 digits and a unit. Throws GRPC_MALFORMED. */
export function parseGrpcTimeout(header: string): number {
  const match = /^(\d{1,8})([HMSmun])$/.exec(header);
  const unitMs = UNIT_MS.get(match?.[2] ?? "");
  if (match === null || unitMs === undefined) {
    throw new EncodingError("GRPC_MALFORMED", {
      what: "the grpc-timeout header is malformed",
      why: "it has to be 1 to 8 digits and one of the units H, M, S, m, u, n",
      remedy: "send the header as the gRPC specification defines it",
    });
  }
  return Number(match[1]) * unitMs;
}

const MAX_TIMEOUT_VALUE = 99_999_999;

/** The `grpc-timeout` header for a positive number of milliseconds, in the finest unit that holds it; rounded up. */
export function formatGrpcTimeout(timeoutMs: number): string {
  for (const [unit, unitMs] of [...UNIT_MS].toReversed()) {
    const value = Math.ceil(timeoutMs / unitMs);
    if (unitMs >= 1e-3 && value <= MAX_TIMEOUT_VALUE) return `${value}${unit}`;
  }
  return `${MAX_TIMEOUT_VALUE}H`;
}

/** `grpc-message`: UTF-8 with every byte outside printable ASCII, and the percent sign, as `%XX`. */
export function encodeGrpcMessage(text: string): string {
  let encoded = "";
  for (const byte of utf8(text)) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += isPlain ? String.fromCodePoint(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

/** The text of a `grpc-message` header. Never fails: what is not valid encoding is kept as it came. */
export function decodeGrpcMessage(header: string): string {
  const bytes: number[] = [];
  for (let index = 0; index < header.length; index++) {
    const hex = header[index] === "%" ? /^[0-9a-f]{2}$/i.exec(header.slice(index + 1, index + 3)) : null;
    if (hex === null) bytes.push(header.codePointAt(index) ?? 0);
    else {
      bytes.push(Number.parseInt(hex[0], 16));
      index += 2;
    }
  }
  return fromUtf8(Uint8Array.from(bytes)) ?? header;
}
