import { randomBytes } from "node:crypto";
import { Span, type SpanAttributes } from "./span.ts";
import { parseTraceParent } from "./trace-context.ts";

export interface TracerOptions {
  /** Of requests without a trace of their own this part is traced, 0 to 1. Those with one follow its `sampled` flag. */
  readonly ratio: number;
  readonly onSpan: (span: Span) => void;
}

/** Begins a span for each request that is to be traced. */
export class Tracer {
  readonly #options: TracerOptions;

  constructor(options: TracerOptions) {
    this.#options = options;
  }

  /** The span of a request; `undefined` where it is not sampled. `startedAt` in milliseconds since 1970; absent: it begins now. */
  begin(
    name: string,
    traceparent: string | readonly string[] | undefined,
    attributes: SpanAttributes,
    startedAt?: number,
  ): Span | undefined {
    const { ratio, onSpan } = this.#options;
    const parent = parseTraceParent(traceparent);
    const isSampled = parent === undefined ? Math.random() < ratio : parent.isSampled;
    if (!isSampled) return undefined;
    const traceId = parent?.traceId ?? randomBytes(16).toString("hex");
    return new Span({ traceId, parentId: parent?.spanId, name, kind: "server", startedAt }, attributes, onSpan);
  }
}
