import { OtlpExporter, Tracer } from "@cloister/model-server/tracing";
import type { ConnectionRecord } from "./gateway.ts";

export interface ConnectionSpansOptions {
  /** Base URL of a collector that takes OTLP/HTTP. */
  readonly endpoint: string;
  /** Part of the connections that is told, 0 to 1. */
  readonly ratio: number;
}

/**
 * Tells a collector about connections that ended. What passes through is encrypted, a request's trace with it, so each connection is a trace
 * of its own. `cloister.upstream_address` is what the replica sees as its peer: its spans say the same as `network.peer.*`.
 */
export class ConnectionSpans {
  readonly #exporter: OtlpExporter;
  readonly #tracer: Tracer;

  constructor({ endpoint, ratio }: ConnectionSpansOptions) {
    const exporter = new OtlpExporter(endpoint, "cloister-gateway");
    this.#exporter = exporter;
    this.#tracer = new Tracer({ ratio, onSpan: (span) => exporter.add(span) });
  }

  /** A connection that ends now. */
  add({
    client,
    serverName,
    backend,
    upstream,
    outcome,
    bytesFromClient,
    bytesToClient,
    seconds,
  }: ConnectionRecord): void {
    const attributes = {
      "network.peer.address": client,
      "tls.client.server_name": serverName,
      "cloister.backend": backend,
      "cloister.upstream_address": upstream,
      "cloister.outcome": outcome,
      "cloister.bytes_from_client": bytesFromClient,
      "cloister.bytes_to_client": bytesToClient,
    };
    const startedAt = performance.timeOrigin + performance.now() - seconds * 1000;
    const span = this.#tracer.begin("gateway.connection", undefined, attributes, startedAt);
    span?.end(outcome === "passed" ? undefined : outcome);
  }

  /** Sends what waits. Never throws. */
  close(): Promise<void> {
    return this.#exporter.close();
  }
}
