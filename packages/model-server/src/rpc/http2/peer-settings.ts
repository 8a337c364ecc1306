import {
  DEFAULT_FRAME_BYTES,
  DEFAULT_WINDOW_BYTES,
  Http2Error,
  MAX_FRAME_BYTES,
  MAX_WINDOW_BYTES,
  readUint32,
  SETTING,
} from "@cloister/encoding/http2";

const ENTRY_BYTES = 6;

/** What a client has said that it takes; the rest of its settings means nothing to a server. */
export interface PeerSettings {
  /** `undefined`: what it was before. */
  readonly headerTableBytes: number | undefined;
  readonly initialWindowBytes: number;
  readonly maxFrameBytes: number;
}

export const INITIAL_PEER_SETTINGS: PeerSettings = {
  headerTableBytes: undefined,
  initialWindowBytes: DEFAULT_WINDOW_BYTES,
  maxFrameBytes: DEFAULT_FRAME_BYTES,
};

/** `before`, as a SETTINGS frame changes it. Throws Http2Error with the codes of RFC 9113, section 6.5. */
export function changedSettings(before: PeerSettings, payload: Uint8Array): PeerSettings {
  if (payload.length % ENTRY_BYTES !== 0) throw new Http2Error("FRAME_SIZE_ERROR", "SETTINGS end within an entry");
  let { headerTableBytes, initialWindowBytes, maxFrameBytes } = before;
  for (let at = 0; at < payload.length; at += ENTRY_BYTES) {
    const id = ((payload[at] ?? 0) << 8) | (payload[at + 1] ?? 0);
    const value = readUint32(payload, at + 2);
    if (id === SETTING.headerTableSize) headerTableBytes = value;
    else if (id === SETTING.enablePush && value > 1) throw new Http2Error("PROTOCOL_ERROR", "ENABLE_PUSH is 0 or 1");
    else if (id === SETTING.initialWindowSize) {
      if (value > MAX_WINDOW_BYTES) throw new Http2Error("FLOW_CONTROL_ERROR", "a window is too large");
      initialWindowBytes = value;
    } else if (id === SETTING.maxFrameSize) {
      if (value < DEFAULT_FRAME_BYTES || value > MAX_FRAME_BYTES) {
        throw new Http2Error("PROTOCOL_ERROR", "MAX_FRAME_SIZE is out of its range");
      }
      maxFrameBytes = value;
    }
  }
  return { headerTableBytes, initialWindowBytes, maxFrameBytes };
}
