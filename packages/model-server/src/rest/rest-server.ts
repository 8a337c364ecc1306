import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { TLSSocket } from "node:tls";
import { createGunzip } from "node:zlib";
import { ATTESTED_HTTP1 } from "@cloister/encoding/connection-evidence";
import { callError, ModelServerError } from "../errors.ts";
import { answerWithEvidence, attestedTlsOptions, servingKeySha256 } from "../evidence/attested-connections.ts";
import type { EvidenceSource } from "../evidence/evidence.ts";
import type { BufferBudget, RpcLimits } from "../rpc/limits.ts";
import { listenAt } from "../rpc/listen.ts";
import type { EndedCall } from "../rpc/unary-call.ts";
import { withSpan } from "../tracing/span.ts";
import type { Tracer } from "../tracing/tracer.ts";
import { type ModelServerTls, serverTlsOptions } from "../rpc/tls.ts";
import type { EndpointAnswer, SealedEndpoint } from "../sealed/sealed-endpoint.ts";
import type { ServingContext } from "../serving/context.ts";
import { answerRest, errorResponse, type RestResponse } from "./rest-handler.ts";

/** What a gzip body may inflate to. */
const MAX_INFLATED_BYTES = 100 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 30_000;
/** What a session is bound to in place of a key where REST is served in plaintext. */
const NO_SERVING_KEY = new Uint8Array(32);

export interface RestOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** How long an answer may take. Default 30 s. */
  readonly timeoutMs?: number;
  /** Let web pages of other origins call. */
  readonly allowsCors?: boolean;
  /** Path of the metrics, for example `/monitoring/prometheus/metrics`; without it they are not told. */
  readonly metricsPath?: string;
}

export interface RestServerOptions extends RestOptions {
  /** The same material and client authentication as gRPC; `undefined` is plaintext, which the caller has made sure is wanted. */
  readonly tls: ModelServerTls | undefined;
  /** Headers of every answer. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly limits: RpcLimits;
  readonly budget: BufferBudget;
  /** Told about every ended call. */
  readonly onCallEnd?: ((call: EndedCall) => void) | undefined;
  readonly tracer?: Tracer | undefined;
  /** Whether the client of this connection may call; see `ClientAllowList`. */
  readonly mayCall: (socket: TLSSocket | undefined) => boolean;
  /** Evidence for clients that ask for it when they connect. */
  readonly evidence?: EvidenceSource | undefined;
  /** Sealed sessions, for clients that cannot see their TLS connection. */
  readonly sealed?: SealedEndpoint | undefined;
}

export interface RestServer {
  readonly address: { readonly host: string; readonly port: number };
  /** Uses new TLS material for connections from now on. Throws TLS_MATERIAL_INVALID. */
  replaceTls(tls: ModelServerTls): void;
  close(graceMs: number): Promise<void>;
}

/** TensorFlow Serving's REST API over HTTP/1.1. Throws TLS_MATERIAL_INVALID and LISTEN_FAILED. */
export async function startRestServer(context: ServingContext, options: RestServerOptions): Promise<RestServer> {
  const { tls, limits, host } = options;
  const timing = { requestTimeout: limits.idleStreamMs, headersTimeout: limits.tlsHandshakeMs };
  const common = { ...timing, maxHeaderSize: limits.maxHeaderBytes };
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    respond(context, options, request, response).catch(() => response.destroy());
  };
  const server = tls === undefined ? createServer(common, handle) : createTlsServer(common, tls, options, handle);
  server.maxConnections = limits.maxConnections;
  server.on("tlsClientError", (_error, socket: { destroy(): void }) => socket.destroy());
  const address = await listenAt(server, { host, port: options.port });
  return {
    address,
    replaceTls: (next) => {
      const { key, cert, ca } = serverTlsOptions(next, "http/1.1");
      if ("setSecureContext" in server) {
        (server as ReturnType<typeof createSecureServer>).setSecureContext({ key, cert, ca, minVersion: "TLSv1.2" });
      }
    },
    close: (graceMs) => drain(server, graceMs),
  };
}

function createTlsServer(
  common: ServerOptions,
  tls: ModelServerTls,
  { evidence, limits }: RestServerOptions,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Server {
  const tlsOptions = { ...serverTlsOptions(tls, "http/1.1"), handshakeTimeout: limits.tlsHandshakeMs };
  if (evidence === undefined) return createSecureServer({ ...common, ...tlsOptions }, handle);
  const server = createSecureServer({ ...common, ...attestedTlsOptions(tlsOptions, ATTESTED_HTTP1) }, handle);
  answerWithEvidence(server, evidence, ATTESTED_HTTP1);
  return server;
}

async function respond(
  context: ServingContext,
  options: RestServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const startedAt = performance.now();
  const method = request.method ?? "";
  const path = pathOf(request);
  const span = options.tracer?.begin(`${method} ${path}`, request.headers["traceparent"], {
    "http.request.method": method,
    "url.path": path,
    "network.peer.address": request.socket.remoteAddress ?? "",
    "network.peer.port": request.socket.remotePort ?? 0,
  });
  const abort = new AbortController();
  response.on("close", () => abort.abort());
  const received = { bytes: 0 };
  const answer = await withTimeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS, abort, () =>
    withSpan(span, () => answerOf(context, options, request, received, abort.signal)),
  );
  const body = Buffer.from(answer.body);
  span?.end(answer.status < 400 ? undefined : String(answer.status));
  options.onCallEnd?.({
    api: "rest",
    method,
    path,
    status: answer.status,
    durationMs: performance.now() - startedAt,
    requestBytes: received.bytes,
    responseBytes: body.length,
    ...(span !== undefined && { traceId: span.traceId }),
  });
  response.writeHead(answer.status, {
    "content-type": answer.contentType,
    "content-length": body.length,
    ...options.metadata,
    ...(options.allowsCors === true && CORS_HEADERS),
  });
  response.end(body);
  // What is left of a refused body is read and dropped: a client whose connection is cut off would not see the answer.
  request.resume();
}

const CORS_HEADERS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "POST, GET",
  "access-control-allow-headers": "Content-Type",
};

async function answerOf(
  context: ServingContext,
  options: RestServerOptions,
  request: IncomingMessage,
  received: { bytes: number },
  signal: AbortSignal,
): Promise<RestResponse | EndpointAnswer> {
  const method = request.method ?? "";
  const path = pathOf(request);
  const socket = options.tls === undefined ? undefined : (request.socket as TLSSocket);
  if (!options.mayCall(socket)) {
    return errorResponse(
      callError("PERMISSION_DENIED", "The client's certificate is not on the list of those who may call."),
    );
  }
  if (method === "OPTIONS" && options.allowsCors === true) return preflight(request);
  if (method === "GET" && path === options.metricsPath) {
    return { status: 200, contentType: "text/plain", body: context.metrics.registry.render() };
  }
  let heldBytes = 0;
  try {
    const body = await readBody(request, options, (bytes) => (heldBytes += bytes));
    received.bytes = body.length;
    const { sealed } = options;
    if (method === "POST" && sealed?.handles(path) === true)
      return await sealed.answer(path, body, (socket && servingKeySha256(socket)) ?? NO_SERVING_KEY, signal);
    return await answerRest(context, { method, path, body, signal });
  } catch (error) {
    return errorResponse(error);
  } finally {
    options.budget.giveBack(heldBytes);
  }
}

function pathOf({ url = "" }: IncomingMessage): string {
  return url.split("?", 1)[0] ?? "";
}

function preflight(request: IncomingMessage): RestResponse {
  if (/^https?:\/\//.test(request.headers.origin ?? "")) return { status: 200, contentType: "text/plain", body: "" };
  return errorResponse(callError("INVALID_ARGUMENT", "The Origin header is missing or not http or https."));
}

/** The request's body. `held` is told the bytes that it takes of the budget, the inflated ones of a gzip body too. */
async function readBody(
  request: IncomingMessage,
  { limits, budget }: RestServerOptions,
  held: (bytes: number) => void,
): Promise<Uint8Array> {
  const hold = (bytes: number): void => {
    if (!budget.tryTake(bytes)) {
      throw callError("RESOURCE_EXHAUSTED", "The server holds as many request bytes as it may; try again later.");
    }
    held(bytes);
  };
  const tooLarge = callError("RESOURCE_EXHAUSTED", "The request body is larger than the limit.");
  const body = await collect(request.iterator({ destroyOnReturn: false }), {
    maxBytes: limits.maxMessageBytes,
    tooLarge,
    hold,
  });
  return /gzip/i.test(request.headers["content-encoding"] ?? "") ? inflated(body, hold) : body;
}

interface CollectOptions {
  readonly maxBytes: number;
  readonly tooLarge: Error;
  /** Told the length of each chunk before it is kept; may throw. */
  readonly hold: (bytes: number) => void;
}

async function collect(
  source: AsyncIterable<Buffer>,
  { maxBytes, tooLarge, hold }: CollectOptions,
): Promise<Buffer<ArrayBuffer>> {
  const chunks: Buffer<ArrayBuffer>[] = [];
  let length = 0;
  for await (const chunk of source) {
    length += chunk.length;
    if (length > maxBytes) throw tooLarge;
    hold(chunk.length);
    chunks.push(chunk as Buffer<ArrayBuffer>);
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, length);
}

async function inflated(body: Buffer, hold: (bytes: number) => void): Promise<Uint8Array> {
  const tooLarge = callError("INVALID_ARGUMENT", "The gzip body cannot be inflated, or is too large.");
  const inflating = createGunzip();
  inflating.end(body);
  try {
    return await collect(inflating as AsyncIterable<Buffer>, { maxBytes: MAX_INFLATED_BYTES, tooLarge, hold });
  } catch (cause) {
    if (cause instanceof ModelServerError) throw cause;
    throw callError("INVALID_ARGUMENT", "The gzip body cannot be inflated, or is too large.", { cause });
  }
}

/** The result of `work`, or a DEADLINE_EXCEEDED answer when it takes too long. */
async function withTimeout(
  timeoutMs: number,
  abort: AbortController,
  work: () => Promise<RestResponse | EndpointAnswer>,
): Promise<RestResponse | EndpointAnswer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<RestResponse>((resolve) => {
    timer = setTimeout(() => {
      const error = callError("DEADLINE_EXCEEDED", "Timed out waiting for the answer.");
      abort.abort(error);
      resolve(errorResponse(error));
    }, timeoutMs);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function drain(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  server.closeIdleConnections();
  const cutOff = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(cutOff);
}
