import type { Readable } from "node:stream";
import { LENGTH_PREFIX_BYTES, readLengthPrefix } from "../connection-evidence.ts";

/**
 * The next length-prefixed message of a paused byte stream, whose later bytes stay in it. `undefined` where the stream ends
 * before, or announces a message that is empty or longer than `maxBytes`. Rejects with the stream's own error.
 */
export async function readPrefixedMessage(stream: Readable, maxBytes: number): Promise<Uint8Array | undefined> {
  const prefix = await readExactly(stream, LENGTH_PREFIX_BYTES);
  if (prefix === undefined) return undefined;
  const length = readLengthPrefix(prefix);
  return length === 0 || length > maxBytes ? undefined : readExactly(stream, length);
}

async function readExactly(stream: Readable, byteCount: number): Promise<Uint8Array | undefined> {
  for (;;) {
    const chunk = stream.read(byteCount) as Uint8Array | null;
    // At the end of the stream the rest is given, however short.
    if (chunk !== null) return chunk.length === byteCount ? plainView(chunk) : undefined;
    if (stream.readableEnded || stream.destroyed) return undefined;
    await nextChange(stream);
  }
}

/** Streams give Buffers, whose methods differ from those of the type. */
function plainView(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

function nextChange(stream: Readable): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onChange = (): void => resolve();
  stream.on("readable", onChange).on("end", onChange).on("close", onChange).on("error", reject);
  return promise.finally(() => {
    stream.off("readable", onChange).off("end", onChange).off("close", onChange).off("error", reject);
  });
}
