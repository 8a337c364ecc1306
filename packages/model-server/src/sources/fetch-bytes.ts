import { callError, type ModelServerError } from "../errors.ts";
import { withoutQuery } from "./model-source.ts";

/** How long a store may be silent. */
const SILENCE_MS = 60_000;

export interface FetchOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly maxBytes: number;
}

/**
 * The body of a GET, at most `maxBytes` of it. Redirects are not followed: they would lead away from the host that was named.
 * Throws UNAVAILABLE (no answer, or an error of the server), PERMISSION_DENIED, NOT_FOUND, FAILED_PRECONDITION for other
 * answers, RESOURCE_EXHAUSTED. No message has the URL's query.
 */
export async function fetchBytes(url: URL, { headers = {}, maxBytes }: FetchOptions): Promise<Uint8Array> {
  const place = withoutQuery(url.href);
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), SILENCE_MS);
  try {
    const response = await fetch(url, { headers, redirect: "manual", signal: abort.signal });
    if (!response.ok || response.body === null) throw statusError(response.status, place);
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      timer.refresh();
      length += chunk.length;
      if (length > maxBytes) throw callError("RESOURCE_EXHAUSTED", `${place} is larger than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
    return joined(chunks, length);
  } catch (error) {
    if (!(error instanceof TypeError || (error instanceof Error && error.name === "AbortError"))) throw error;
    // The cause may name the whole URL.
    throw callError("UNAVAILABLE", `${place} cannot be read: there is no answer`);
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function statusError(status: number, place: string): ModelServerError {
  const text = `${place} cannot be read: the store answered ${status}`;
  if (status === 401 || status === 403) return callError("PERMISSION_DENIED", text);
  if (status === 404) return callError("NOT_FOUND", text);
  return callError(status >= 500 || status === 429 ? "UNAVAILABLE" : "FAILED_PRECONDITION", text);
}
