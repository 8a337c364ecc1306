import { request as httpRequest } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { concatBytes } from "@cloister/encoding";
import { refusal } from "../errors.ts";

/** Any answer that came whole, whatever its status. */
export interface HttpsAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Uint8Array;
}

export interface HttpsOptions {
  /** For the whole exchange. */
  readonly timeoutMs: number;
  readonly tlsAuthority?: string;
  /** Takes any TLS certificate. */
  readonly insecureTls?: boolean;
  readonly signal?: AbortSignal;
  /** Makes it a POST of this JSON text. */
  readonly json?: string;
}

const MAX_BODY_BYTES = 1 << 20;
const MAX_HEADER_BYTES = 64 * 1024;

/**
 * One request over verified TLS (1.2 at least): one connection, no redirects followed, 64 KiB of headers and 1 MiB of body at
 * most. A URL with http: is taken as it is: the caller has looked at it.
 * Rejects with `AttestationError` COLLATERAL_SERVICE_UNREACHABLE, COLLATERAL_SERVICE_TIMEOUT or COLLATERAL_RESPONSE_TOO_LARGE.
 */
export async function httpsExchange(url: URL, options: HttpsOptions): Promise<HttpsAnswer> {
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const signal = AbortSignal.any([timeout, ...(options.signal ? [options.signal] : [])]);
  try {
    const response = await send(url, requestOptions(options, signal), options.json);
    const body = await readBody(response);
    return { status: response.statusCode ?? 0, headers: response.headers, body };
  } catch (error) {
    if (timeout.aborted) throw refusal("COLLATERAL_SERVICE_TIMEOUT", error);
    throw error;
  }
}

function requestOptions(options: HttpsOptions, signal: AbortSignal): RequestOptions {
  const { tlsAuthority, insecureTls, json } = options;
  return {
    signal,
    agent: false,
    minVersion: "TLSv1.2",
    maxHeaderSize: MAX_HEADER_BYTES,
    ...(json !== undefined && { method: "POST", headers: { "content-type": "application/json" } }),
    ...(tlsAuthority !== undefined && { ca: tlsAuthority }),
    ...(insecureTls === true && { rejectUnauthorized: false }),
  };
}

async function send(url: URL, options: RequestOptions, body: string | undefined): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const start = url.protocol === "http:" ? httpRequest : httpsRequest;
  const sent = start(url, options, resolve);
  sent.on("error", (error) => reject(refusal("COLLATERAL_SERVICE_UNREACHABLE", error)));
  sent.end(body);
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
