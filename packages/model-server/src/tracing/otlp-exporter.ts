import type { Span } from "./span.ts";

const BATCH_SPANS = 512;
const MAX_WAITING_SPANS = 4096;
const INTERVAL_MS = 2000;
const TIMEOUT_MS = 10_000;
const KIND = { internal: 1, server: 2 } as const;
const STATUS_ERROR = 2;

/** Sends spans to a collector over OTLP/HTTP in JSON. Whatever the collector does, serving goes on: spans are dropped then. */
export class OtlpExporter {
  readonly #endpoint: string;
  readonly #service: string;
  readonly #timer: NodeJS.Timeout;
  #waiting: Span[] = [];
  #sending: Promise<void> | undefined;
  /** Spans that were not delivered. */
  dropped = 0;

  /** `endpoint` is the base URL, for example `http://127.0.0.1:4318`; spans go to `/v1/traces` below it. */
  constructor(endpoint: string, service: string) {
    this.#endpoint = `${endpoint.replace(/\/$/, "")}/v1/traces`;
    this.#service = service;
    this.#timer = setInterval(() => void this.flush(), INTERVAL_MS).unref();
  }

  add(span: Span): void {
    if (this.#waiting.length >= MAX_WAITING_SPANS) this.dropped++;
    else this.#waiting.push(span);
    if (this.#waiting.length >= BATCH_SPANS) void this.flush();
  }

  /** Sends what waits. Never throws. */
  flush(): Promise<void> {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
    return this.#sending;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
    await this.flush();
  }

  async #sendAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const spans = this.#waiting.slice(0, BATCH_SPANS);
      this.#waiting = this.#waiting.slice(BATCH_SPANS);
      const isDelivered = await fetch(this.#endpoint, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(tracesJson(spans, this.#service)),
        redirect: "error",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      }).then(
        async (response) => {
          await response.body?.cancel();
          return response.ok;
        },
        () => false,
      );
      if (!isDelivered) this.dropped += spans.length;
    }
  }
}

/** ExportTraceServiceRequest in JSON: identifiers in hex, times as text. (OTLP specification 1.x, "JSON Protobuf Encoding") */
function tracesJson(spans: readonly Span[], service: string): unknown {
  const resource = { attributes: attributesJson({ "service.name": service }) };
  return { resourceSpans: [{ resource, scopeSpans: [{ scope: { name: "cloister" }, spans: spans.map(spanJson) }] }] };
}

function spanJson(span: Span): unknown {
  const { traceId, spanId, parentId, name, kind, attributes, error } = span;
  return {
    traceId,
    spanId,
    ...(parentId !== undefined && { parentSpanId: parentId }),
    name,
    kind: KIND[kind],
    startTimeUnixNano: unixNano(span.startedAt),
    endTimeUnixNano: unixNano(span.endedAt),
    attributes: attributesJson(attributes),
    status: error === undefined ? {} : { code: STATUS_ERROR, message: error },
  };
}

function attributesJson(attributes: Readonly<Record<string, string | number>>): unknown[] {
  return Object.entries(attributes).map(([key, value]) => ({
    key,
    value: typeof value === "string" ? { stringValue: value } : { intValue: String(Math.round(value)) },
  }));
}

function unixNano(ms: number): string {
  return String(BigInt(Math.round(ms * 1000)) * 1000n);
}
