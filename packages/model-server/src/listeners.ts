import { limitedSource } from "./evidence/evidence.ts";
import { type RestServer, startRestServer } from "./rest/rest-server.ts";
import { ClientAllowList } from "./rpc/client-allow-list.ts";
import { BufferBudget, DEFAULT_LIMITS } from "./rpc/limits.ts";
import { startUnaryServer, type UnaryServer, type UnaryServerOptions } from "./rpc/unary-server.ts";
import { sealedDispatch } from "./sealed/dispatch.ts";
import { SealedEndpoint } from "./sealed/sealed-endpoint.ts";
import type { ServingContext } from "./serving/context.ts";
import { Tracer } from "./tracing/tracer.ts";
import type { ModelServerOptions } from "./options.ts";
import type { Services } from "./services.ts";

/** Response header that names the replica which answered. */
export const REPLICA_HEADER = "cloister-replica";

interface Listeners {
  readonly grpc: UnaryServer;
  readonly socket: UnaryServer | undefined;
  readonly rest: RestServer | undefined;
}

/** All listeners, which share one budget of bytes. Where one fails the others are closed again. */
export async function openListeners(
  context: ServingContext,
  services: Services,
  options: ModelServerOptions,
): Promise<Listeners> {
  const { metrics } = context;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const budget = new BufferBudget(limits.maxBufferedBytes, metrics.heldBytes.at());
  const clients = options.allowedClients === undefined ? undefined : new ClientAllowList(options.allowedClients);
  const mayCall = clients?.mayCall.bind(clients);
  const running = metrics.runningCalls.at();
  const evidence = options.evidence && limitedSource(options.evidence);
  const { host, port, socketPath, tracing, onCallEnd } = options;
  const tracer = tracing && new Tracer({ ratio: tracing.ratio, onSpan: (span) => tracing.exporter.add(span) });
  const metadata: Record<string, string> =
    options.replicaId === undefined ? {} : { [REPLICA_HEADER]: options.replicaId };
  const common: Omit<UnaryServerOptions, "listen"> = {
    tls: options.tls,
    ...services,
    tracer,
    connectionCare: options.connectionCare,
    metadata,
    limits,
    budget,
    mayCall,
    evidence,
    onCallStart: () => {
      running.add(1);
      metrics.callSeconds.add(1);
    },
    onCallEnd: (call) => {
      running.add(-1);
      metrics.callSeconds.add(-1);
      onCallEnd?.(call);
    },
    onConnection: (event) => {
      if (event !== "closed") metrics.handshakes.at(event === "failed" ? "failed" : "ok").add(1);
      metrics.connections.at().add(event === "opened" ? 1 : event === "closed" ? -1 : 0);
    },
  };
  const opened: { close(graceMs: number): Promise<void> }[] = [];
  const keep = <Listener extends (typeof opened)[number]>(listener: Listener): Listener => {
    opened.push(listener);
    return listener;
  };
  try {
    const grpc = keep(await startUnaryServer({ ...common, listen: { host, port } }));
    const socket =
      socketPath === undefined ? undefined : keep(await startUnaryServer({ ...common, listen: { socketPath } }));
    if (options.rest === undefined) return { grpc, socket, rest: undefined };
    const tls = options.insecureRest === true ? undefined : options.tls;
    const sealed =
      evidence && new SealedEndpoint(evidence, sealedDispatch(context, services.methods, options.replicaId ?? ""));
    const own = {
      ...options.rest,
      tls,
      metadata,
      limits,
      budget,
      mayCall: mayCall ?? (() => true),
      onCallEnd,
      tracer,
      evidence,
      sealed,
    };
    return { grpc, socket, rest: await startRestServer(context, own) };
  } catch (error) {
    await Promise.all(opened.map((listener) => listener.close(0)));
    throw error;
  }
}
