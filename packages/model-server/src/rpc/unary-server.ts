import { type Server as TlsServer, type TlsOptions, TLSSocket } from "node:tls";
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
import type { Http2Connection } from "./http2/connection.ts";
import { createHttp2Server } from "./http2/http2-server.ts";
import type { RequestHeaders } from "./http2/request-headers.ts";
import type { Http2Stream } from "./http2/stream.ts";
import { removeStaleSocket } from "./stale-socket.ts";
import { answerStream, type StreamHandler } from "./streaming-call.ts";
import { type CallEnvironment, type EndedCall, FIXED_HEADERS, UnaryCall, type UnaryHandler } from "./unary-call.ts";

const GRPC_TYPE = /^application\/grpc(?:$|\+proto$|;)/;
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
  const { tls, evidence } = options;
  const server = createHttp2Server({
    ...limits,
    tls: tls && listenerTls(tls, evidence, limits),
    idleMs: limits.idleStreamMs,
    onConnection: (connection) => {
      onConnection?.("opened");
      if (connectionCare !== undefined) careFor(connection, connectionCare);
    },
    onClose: () => onConnection?.("closed"),
    onStream: (stream, connection) => {
      const isAllowed = mayCall === undefined || mayCall(tlsSocketOf(connection));
      accept(stream, isAllowed ? handlers.get(stream.headers[":path"] ?? "") : REFUSE_CALLER, environment, onCallStart);
    },
  });
  const { listener } = server;
  listener.on("tlsClientError", () => onConnection?.("failed"));
  if (evidence !== undefined && tls !== undefined) answerWithEvidence(listener as TlsServer, evidence, ATTESTED_H2);
  if ("socketPath" in options.listen) await removeStaleSocket(options.listen.socketPath);
  const address = await listenAt(listener, options.listen);
  return {
    address,
    get heldBytes() {
      return budget.heldBytes;
    },
    close: (graceMs) => {
      draining.abort();
      return server.close(graceMs);
    },
    replaceTls: (next) => {
      const { key, cert, ca } = serverTlsOptions(next);
      if ("setSecureContext" in listener) listener.setSecureContext({ key, cert, ca, minVersion: "TLSv1.2" });
    },
  };
}

/** A connection's TLS socket. */
function tlsSocketOf({ socket }: Http2Connection): TLSSocket | undefined {
  return socket instanceof TLSSocket ? socket : undefined;
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

/** With evidence, clients may ask for it by the protocol that they name. */
function listenerTls(tls: ModelServerTls, evidence: EvidenceSource | undefined, limits: RpcLimits): TlsOptions {
  const options = { ...serverTlsOptions(tls), handshakeTimeout: limits.tlsHandshakeMs };
  return evidence === undefined ? options : attestedTlsOptions(options, ATTESTED_H2);
}

function accept(
  stream: Http2Stream,
  handler: Handler | undefined,
  environment: CallEnvironment,
  onCallStart: (() => void) | undefined,
): void {
  const refusal = refusalOf(stream.headers);
  if (refusal !== undefined) {
    stream.respondOnly({ ":status": refusal });
    stream.reset("NO_ERROR");
  } else if (handler?.kind === "stream") {
    answerStream(stream, handler.answer, environment).catch(() => stream.reset("INTERNAL_ERROR"));
  } else {
    onCallStart?.();
    new UnaryCall(stream, environment).start(handler?.answer);
  }
}

/** The HTTP status for what is no gRPC call. */
function refusalOf(headers: RequestHeaders): number | undefined {
  if (headers[":method"] !== "POST") return 405;
  const type = headers["content-type"] ?? "";
  return type === "application/grpc" || GRPC_TYPE.test(type) ? undefined : 415;
}
