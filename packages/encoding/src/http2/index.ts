// HTTP/2's bytes: frames (RFC 9113) and header blocks (RFC 7541). What is done with them is the connections' matter.

export { FrameReader, type FrameSink } from "./frame-reader.ts";
export { goAwayFrame, pingFrame, rstStreamFrame, settingsAck, settingsFrame, windowUpdateFrame } from "./frames.ts";
export { HpackDecoder, type HeaderList } from "./hpack-decoder.ts";
export { type HeaderRecord, HpackEncoder } from "./hpack-encoder.ts";
export { fieldBytes, type HeaderField } from "./hpack-table.ts";
export * from "./protocol.ts";
