import {
  FLAG,
  FRAME_HEADER_BYTES,
  FRAME_TYPE,
  HTTP2_ERROR,
  type Http2ErrorCode,
  writeFrameHeader,
  writeUint32,
} from "./protocol.ts";

// Frames that a connection sends beside HEADERS and DATA.

export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): Uint8Array {
  const frame = emptyFrame(FRAME_TYPE.settings, 0, 0, settings.length * 6);
  for (const [index, [id, value]] of settings.entries()) {
    const at = FRAME_HEADER_BYTES + index * 6;
    frame[at + 1] = id;
    writeUint32(frame, at + 2, value);
  }
  return frame;
}

export function settingsAck(): Uint8Array {
  return emptyFrame(FRAME_TYPE.settings, FLAG.ack, 0, 0);
}

/** `opaque` has eight bytes. */
export function pingFrame(opaque: Uint8Array, isAck: boolean): Uint8Array {
  const frame = emptyFrame(FRAME_TYPE.ping, isAck ? FLAG.ack : 0, 0, 8);
  frame.set(opaque, FRAME_HEADER_BYTES);
  return frame;
}

export function rstStreamFrame(streamId: number, code: Http2ErrorCode): Uint8Array {
  return uint32Frame(FRAME_TYPE.rstStream, streamId, HTTP2_ERROR[code]);
}

export function windowUpdateFrame(streamId: number, bytes: number): Uint8Array {
  return uint32Frame(FRAME_TYPE.windowUpdate, streamId, bytes);
}

export function goAwayFrame(lastStreamId: number, code: Http2ErrorCode, text = ""): Uint8Array {
  const debug = new TextEncoder().encode(text);
  const frame = emptyFrame(FRAME_TYPE.goAway, 0, 0, 8 + debug.length);
  writeUint32(frame, FRAME_HEADER_BYTES, lastStreamId);
  writeUint32(frame, FRAME_HEADER_BYTES + 4, HTTP2_ERROR[code]);
  frame.set(debug, FRAME_HEADER_BYTES + 8);
  return frame;
}

function uint32Frame(type: number, streamId: number, value: number): Uint8Array {
  const frame = emptyFrame(type, 0, streamId, 4);
  writeUint32(frame, FRAME_HEADER_BYTES, value);
  return frame;
}

function emptyFrame(type: number, flags: number, streamId: number, payloadBytes: number): Uint8Array {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + payloadBytes);
  writeFrameHeader(frame, 0, payloadBytes, type, flags, streamId);
  return frame;
}
