import { request, type RequestOptions } from "node:https";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { concatBytes } from "@cloister/encoding";
import { refusal, type CollateralErrorCode } from "../errors.ts";

export interface HttpsAnswer {
  readonly headers: IncomingHttpHeaders;
  readonly body: Uint8Array;
}

export interface HttpsGetOptions {
  /** For the whole exchange. */
  readonly timeoutMs: number;
  readonly tlsAuthority?: string;
  readonly signal?: AbortSignal;
}

const MAX_BODY_BYTES = 1 << 20;
const MAX_HEADER_BYTES = 64 * 1024;

/**
 * GET over verified TLS (1.2 at least), one connection, no redirects, 1 MiB of body at most.
 * Rejects with `AttestationError` with a code of the collateral service.
 */
export async function httpsGet(url: URL, options: HttpsGetOptions): Promise<HttpsAnswer> {
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const signal = AbortSignal.any([timeout, ...(options.signal ? [options.signal] : [])]);
  try {
    const response = await send(url, {
      signal,
      agent: false,
      minVersion: "TLSv1.2",
      maxHeaderSize: MAX_HEADER_BYTES,
      ...(options.tlsAuthority !== undefined && { ca: options.tlsAuthority }),
    });
    const body = await readBody(response);
    const code = statusCode(response.statusCode ?? 0);
    if (code !== undefined) throw refusal(code);
    return { headers: response.headers, body };
  } catch (error) {
    if (timeout.aborted) throw refusal("COLLATERAL_SERVICE_TIMEOUT", error);
    throw error;
  }
}

async function send(url: URL, options: RequestOptions): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const sent = request(url, options, resolve);
  sent.on("error", (error) => reject(refusal("COLLATERAL_SERVICE_UNREACHABLE", error)));
  sent.end();
  return await promise;
}

async function readBody(response: IncomingMessage): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const part of response as AsyncIterable<Uint8Array>) {
      length += part.length;
      if (length > MAX_BODY_BYTES) break;
      parts.push(part);
    }
  } catch (error) {
    throw refusal("COLLATERAL_SERVICE_UNREACHABLE", error);
  }
  if (length > MAX_BODY_BYTES) throw refusal("COLLATERAL_RESPONSE_TOO_LARGE");
  return concatBytes(...parts);
}

/** Status codes of PCS and PCCS (dcap.md C.7): 461 and 462 are "platform unknown" and "certificates unavailable". */
function statusCode(status: number): CollateralErrorCode | undefined {
  if (status === 200) return undefined;
  if (status === 404 || status === 461 || status === 462) return "COLLATERAL_NOT_FOUND";
  return status === 429 || status >= 500 ? "COLLATERAL_SERVICE_FAILED" : "COLLATERAL_SERVICE_REFUSED";
}
