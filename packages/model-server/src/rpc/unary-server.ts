import {
  constants,
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { ATTESTED_H2 } from "@cloister/encoding/connection-evidence";
import { callError } from "../errors.ts";
import { answerWithEvidence, attestedTlsOptions } from "../evidence/attested-connections.ts";
import type { EvidenceSource } from "../evidence/evidence.ts";
import { BufferBudget, DEFAULT_LIMITS, type RpcLimits } from "./limits.ts";
import { type ModelServerTls, serverTlsOptions } from "./tls.ts";
import type { Tracer } from "../tracing/tracer.ts";
import { careFor, type ConnectionCare } from "./connection-care.ts";
import { type ListenAt, listenAt } from "./listen.ts";
import { MemoryPool } from "../memory-pool.ts";
import { removeStaleSocket } from "./stale-socket.ts";
import { answerStream, type StreamHandler } from "./streaming-call.ts";
import { type CallEnvironment, type EndedCall, FIXED_HEADERS, UnaryCall, type UnaryHandler } from "./unary-call.ts";

const MIB = 1024 * 1024;
/** A 602 kB tensor fits without waiting for the peer: 64 KiB windows would cost a round trip for each 64 KiB. */
const STREAM_WINDOW_BYTES = 4 * MIB;
const CONNECTION_WINDOW_BYTES = 16 * MIB;
const FRAME_BYTES = MIB;
/** Memory that nghttp2 may take for a connection, in MB. It has to hold the window. */
const SESSION_MEMORY_MB = 64;
/** What HTTP/2 counts for a header beside its name and value. (RFC 9113, 6.5.2) */
const HEADER_OVERHEAD_BYTES = 32;
const GRPC_TYPE = /^application\/grpc(?:$|\+proto$|;)/;
/** Cancelled streams a second, and in a burst, before a connection is cut off (rapid reset, CVE-2023-44487). */
const RESETS_PER_SECOND = 50;
const RESET_BURST = 1000;

export interface UnaryServerOptions {
  readonly listen: ListenAt;
  /** `undefined` is plaintext: the caller has made sure that it is wanted. */
  readonly tls: ModelServerTls | undefined;
  /** Evidence for clients that ask for it when they connect. */
  readonly evidence?: EvidenceSource | undefined;
  /** Path (`/package.Service/Method`) to handler. */
  readonly methods: ReadonlyMap<string, UnaryHandler>;
  /** Methods whose answer, or request too, is a stream. */
  readonly streams?: ReadonlyMap<string, StreamHandler> | undefined;
  /** What becomes of connections that are old or silent. */
  readonly connectionCare?: ConnectionCare | undefined;
  /** Headers of every answer. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly limits?: Partial<RpcLimits> | undefined;
  readonly onCallStart?: (() => void) | undefined;
  readonly onCallEnd?: ((call: EndedCall) => void) | undefined;
  readonly tracer?: Tracer | undefined;
  /** Shared with other listeners of the same server; one of its own where it is absent. */
  readonly budget?: BufferBudget;
  /** Whether the client of a connection may call; where it may not, calls end with PERMISSION_DENIED. */
  readonly mayCall?: ((socket: TLSSocket | undefined) => boolean) | undefined;
  readonly onConnection?: ((event: ConnectionEvent) => void) | undefined;
}

/** `opened` after the handshake; `failed` where there was none in time, or a bad one. */
type ConnectionEvent = "opened" | "closed" | "failed";

/** A listening gRPC server. A Unix socket has its path for a host, and port 0. */
export interface UnaryServer {
  readonly address: { readonly host: string; readonly port: number };
  /** Bytes that running calls hold. */
  readonly heldBytes: number;
  /**
   * Takes no new connection, sends GOAWAY on each, lets running calls end, and cuts off what still runs after `graceMs`.
   * Resolves when the last connection is closed.
   */
  close(graceMs: number): Promise<void>;
  /** Uses new TLS material for connections from now on; those that are open go on. Throws TLS_MATERIAL_INVALID. */
  replaceTls(tls: ModelServerTls): void;
}

/** Listens, and answers calls until it is closed. Throws TLS_MATERIAL_INVALID and LISTEN_FAILED. */
export async function startUnaryServer(options: UnaryServerOptions): Promise<UnaryServer> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const budget = options.budget ?? new BufferBudget(limits.maxBufferedBytes);
  const draining = new AbortController();
  const environment: CallEnvironment = {
    limits,
    budget,
    memory: new MemoryPool(),
    headers: { ...FIXED_HEADERS, ...options.metadata },
    onEnd: options.onCallEnd,
    tracer: options.tracer,
    draining: draining.signal,
  };
  const { mayCall, onConnection, onCallStart, connectionCare } = options;
  const handlers = handlersOf(options);
  const server = createHttp2Server(options, limits);
  server.on("tlsClientError", () => onConnection?.("failed"));
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    onConnection?.("opened");
    session.on("close", () => {
      sessions.delete(session);
      onConnection?.("closed");
    });
    session.on("error", () => session.destroy());
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    if (connectionCare !== undefined) careFor(session, connectionCare);
  });
  server.on("stream", (stream, headers) => {
    const isAllowed = mayCall === undefined || mayCall(tlsSocketOf(stream.session));
    accept(stream, headers, isAllowed ? handlers.get(headers[":path"] ?? "") : REFUSE_CALLER, environment, onCallStart);
  });
  if ("socketPath" in options.listen) await removeStaleSocket(options.listen.socketPath);
  const address = await listenAt(server, options.listen);
  return {
    address,
    get heldBytes() {
      return budget.heldBytes;
    },
    close: (graceMs) => {
      draining.abort();
      return drain(server, sessions, graceMs);
    },
    replaceTls: (next) => {
      const { key, cert, ca } = serverTlsOptions(next);
      if ("setSecureContext" in server) server.setSecureContext({ key, cert, ca, minVersion: "TLSv1.2" });
    },
  };
}

/** A connection's TLS socket. */
function tlsSocketOf(session: Http2Session | undefined): TLSSocket | undefined {
  return session?.encrypted === true ? (session.socket as TLSSocket) : undefined;
}

type Handler =
  | { readonly kind: "unary"; readonly answer: UnaryHandler }
  | { readonly kind: "stream"; readonly answer: StreamHandler };

function handlersOf({ methods, streams }: UnaryServerOptions): ReadonlyMap<string, Handler> {
  const handlers = new Map<string, Handler>();
  for (const [path, answer] of methods) handlers.set(path, { kind: "unary", answer });
  for (const [path, answer] of streams ?? []) handlers.set(path, { kind: "stream", answer });
  return handlers;
}

/** What a client that may not call gets, whatever it calls. */
const REFUSE_CALLER: Handler = {
  kind: "unary",
  answer: () =>
    Promise.reject(
      callError("PERMISSION_DENIED", "The client's certificate is not on the list of those who may call."),
    ),
};

function createHttp2Server({ tls, evidence }: UnaryServerOptions, limits: RpcLimits): Http2Server | Http2SecureServer {
  const options: ServerOptions & { streamResetRate: number; streamResetBurst: number } = {
    maxSessionMemory: SESSION_MEMORY_MB,
    maxHeaderListPairs: 64,
    streamResetRate: RESETS_PER_SECOND,
    streamResetBurst: RESET_BURST,
    settings: {
      initialWindowSize: STREAM_WINDOW_BYTES,
      maxFrameSize: FRAME_BYTES,
      maxConcurrentStreams: limits.maxStreamsPerConnection,
      maxHeaderListSize: limits.maxHeaderBytes,
    },
  };
  const server = tls === undefined ? createServer(options) : createTlsServer(options, tls, evidence, limits);
  server.maxConnections = limits.maxConnections;
  // Small answers must not wait for the acknowledgement of those before.
  server.on("connection", (socket: Socket) => socket.setNoDelay(true));
  // A failed handshake concerns only its own connection.
  server.on("sessionError", () => undefined);
  server.on("tlsClientError", (_error, socket: { destroy(): void }) => socket.destroy());
  return server;
}

function createTlsServer(
  options: ServerOptions,
  tls: ModelServerTls,
  evidence: EvidenceSource | undefined,
  limits: RpcLimits,
): Http2SecureServer {
  const tlsOptions = { ...serverTlsOptions(tls), handshakeTimeout: limits.tlsHandshakeMs };
  if (evidence === undefined) return createSecureServer({ ...options, ...tlsOptions });
  const server = createSecureServer({ ...options, ...attestedTlsOptions(tlsOptions, ATTESTED_H2) });
  answerWithEvidence(server, evidence, ATTESTED_H2);
  return server;
}

function accept(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  handler: Handler | undefined,
  environment: CallEnvironment,
  onCallStart: (() => void) | undefined,
): void {
  const refusal = refusalOf(headers, environment.limits);
  if (refusal !== undefined) {
    stream.on("error", () => undefined);
    stream.respond({ ":status": refusal }, { endStream: true });
    stream.close(constants.NGHTTP2_NO_ERROR);
    return;
  }
  if (handler?.kind === "stream") {
    answerStream(stream, headers, handler.answer, environment).catch(() => stream.close());
    return;
  }
  onCallStart?.();
  new UnaryCall(stream, headers[":path"] ?? "", environment).start(headers, handler?.answer);
}

/** The HTTP status for what is no gRPC call, or has more headers than the settings allow: nghttp2 only announces that limit. */
function refusalOf(headers: IncomingHttpHeaders, limits: RpcLimits): number | undefined {
  let headerBytes = 0;
  // Every call comes through here: a loop without pairs costs a third of one with them.
  for (const name in headers) {
    const value = headers[name];
    headerBytes +=
      name.length + (typeof value === "string" ? value.length : String(value).length) + HEADER_OVERHEAD_BYTES;
  }
  if (headerBytes > limits.maxHeaderBytes) return 431;
  if (headers[":method"] !== "POST") return 405;
  const type = headers["content-type"] ?? "";
  return type === "application/grpc" || GRPC_TYPE.test(type) ? undefined : 415;
}

async function drain(
  server: Http2Server | Http2SecureServer,
  sessions: ReadonlySet<ServerHttp2Session>,
  graceMs: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  for (const session of sessions) session.close();
  const cutOff = setTimeout(() => {
    for (const session of sessions) session.destroy();
  }, graceMs);
  await closed;
  clearTimeout(cutOff);
}
