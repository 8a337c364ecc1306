import { concatBytes } from "@cloister/encoding";
import { callFailed } from "../errors.ts";
import { remaining } from "../channel/retry.ts";
import type { SealedOptions } from "./options.ts";

const DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
/** A session with its counters and tags adds less than this to a message. */
const RECORD_OVERHEAD_BYTES = 4096;

export interface PostLimits {
  readonly endsAt: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Sends bytes and takes the whole answer, of limited length. Throws UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, RESOURCE_EXHAUSTED. */
export async function postBytes(
  { url, fetch = globalThis.fetch, maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES }: SealedOptions,
  path: string,
  body: Uint8Array,
  { endsAt, signal }: PostLimits,
): Promise<{ readonly status: number; readonly body: Uint8Array }> {
  const leftMs = remaining(endsAt);
  const late = leftMs === undefined ? undefined : AbortSignal.timeout(Math.ceil(leftMs));
  const signals = [signal, late].filter((each) => each !== undefined);
  try {
    const response = await fetch(new URL(path, url), {
      method: "POST",
      headers: { "content-type": "application/octet-stream" },
      // No cookies, no cache, no other server: what is sealed for one replica is of no use to another.
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      body: body.slice(),
      signal: AbortSignal.any(signals),
    });
    return { status: response.status, body: await readBounded(response, maxMessageBytes + RECORD_OVERHEAD_BYTES) };
  } catch (cause) {
    if (signal?.aborted === true) throw callFailed("CANCELLED", "the call was cancelled", { cause });
    if (late?.aborted === true) throw callFailed("DEADLINE_EXCEEDED", "Deadline Exceeded", { cause });
    if (cause instanceof RangeError) throw callFailed("RESOURCE_EXHAUSTED", "the answer is too large", { cause });
    throw callFailed("UNAVAILABLE", "the server cannot be reached", { cause });
  }
}

async function readBounded({ body }: Response, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  if (body === null) return new Uint8Array();
  // Not every browser iterates over a stream.
  const reader = body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return concatBytes(...chunks);
    length += value.length;
    if (length > maxBytes) {
      await reader.cancel();
      throw new RangeError("the answer is longer than its limit");
    }
    chunks.push(value);
  }
}
