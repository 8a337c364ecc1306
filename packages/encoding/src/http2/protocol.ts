// The numbers of HTTP/2. (RFC 9113)

/** What a client's connection begins with. (RFC 9113, section 3.4) */
export const CLIENT_PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** Section 6. */
export const FRAME_TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** `ack` and `endStream` are one bit: of SETTINGS and PING, and of DATA and HEADERS. */
export const FLAG = { ack: 0x1, endStream: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

/** Section 6.5.2. */
export const SETTING = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

/** Section 7. */
export const HTTP2_ERROR = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const;

export type Http2ErrorCode = keyof typeof HTTP2_ERROR;

export const FRAME_HEADER_BYTES = 9;
export const DEFAULT_WINDOW_BYTES = 65_535;
export const DEFAULT_FRAME_BYTES = 16_384;
export const MAX_FRAME_BYTES = 2 ** 24 - 1;
export const MAX_WINDOW_BYTES = 2 ** 31 - 1;
export const MAX_STREAM_ID = 2 ** 31 - 1;
export const DEFAULT_HEADER_TABLE_BYTES = 4096;

/**
 * Ends a connection. Peers see the code, and people see neither: its message is short, and it has no
 * remedy like the package's other errors.
 */
export class Http2Error extends Error {
  readonly code: Http2ErrorCode;

  constructor(code: Http2ErrorCode, message: string) {
    super(message);
    this.name = "Http2Error";
    this.code = code;
  }
}

/** Writes a frame's header, FRAME_HEADER_BYTES long. (Section 4.1) */
export function writeFrameHeader(
  to: Uint8Array,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  to[at] = length >>> 16;
  to[at + 1] = length >>> 8;
  to[at + 2] = length;
  to[at + 3] = type;
  to[at + 4] = flags;
  writeUint32(to, at + 5, streamId);
}

export function writeUint32(to: Uint8Array, at: number, value: number): void {
  to[at] = value >>> 24;
  to[at + 1] = value >>> 16;
  to[at + 2] = value >>> 8;
  to[at + 3] = value;
}

/** Reads 32 bits that are known to be there. */
export function readUint32(from: Uint8Array, at: number): number {
  return (readUint31(from, at) | ((from[at] ?? 0) & 0x80 ? 0x8000_0000 : 0)) >>> 0;
}

/** Reads a stream's number or a window's increment: the highest bit is reserved, and ignored. */
export function readUint31(from: Uint8Array, at: number): number {
  return (
    (((from[at] ?? 0) & 0x7f) << 24) | ((from[at + 1] ?? 0) << 16) | ((from[at + 2] ?? 0) << 8) | (from[at + 3] ?? 0)
  );
}
