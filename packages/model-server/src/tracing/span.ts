import { AsyncLocalStorage } from "node:async_hooks";
import { randomBytes } from "node:crypto";

export type SpanAttributes = Readonly<Record<string, string | number>>;

/** One piece of work of a trace. Attributes name models, signatures and sizes; never what a tensor holds. */
export class Span {
  readonly traceId: string;
  readonly spanId = randomBytes(8).toString("hex");
  readonly parentId: string | undefined;
  readonly name: string;
  /** `server`: it answers a request from outside. */
  readonly kind: "server" | "internal";
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly attributes: Record<string, string | number>;
  endedAt = 0;
  /** The code of an error; `undefined` for success. */
  error: string | undefined;
  readonly #onEnd: (span: Span) => void;

  constructor(
    parts: Pick<Span, "traceId" | "parentId" | "name" | "kind"> & { readonly startedAt?: number | undefined },
    attributes: SpanAttributes,
    onEnd: (span: Span) => void,
  ) {
    this.traceId = parts.traceId;
    this.parentId = parts.parentId;
    this.name = parts.name;
    this.kind = parts.kind;
    this.startedAt = parts.startedAt ?? performance.timeOrigin + performance.now();
    this.attributes = { ...attributes };
    this.#onEnd = onEnd;
  }

  child(name: string, attributes: SpanAttributes = {}): Span {
    const { traceId, spanId: parentId } = this;
    return new Span({ traceId, parentId, name, kind: "internal" }, attributes, this.#onEnd);
  }

  /** Ends it, once. */
  end(error?: string): void {
    if (this.endedAt > 0) return;
    this.endedAt = performance.timeOrigin + performance.now();
    this.error = error;
    this.#onEnd(this);
  }
}

const current = new AsyncLocalStorage<Span>();

/** The span of the request that the caller works for; `undefined` where it is not traced. */
export function currentSpan(): Span | undefined {
  return current.getStore();
}

/** Says in the current span which version answers. */
export function noteModel({ name, version }: { readonly name: string; readonly version: bigint }): void {
  const span = current.getStore();
  if (span === undefined) return;
  span.attributes["cloister.model"] = name;
  span.attributes["cloister.model_version"] = String(version);
}

/** Runs `work` for a span; without one it is just run. */
export function withSpan<Result>(span: Span | undefined, work: () => Result): Result {
  return span === undefined ? work() : current.run(span, work);
}

/** Runs `work` as a part of the current span, where there is one. `codeOf` names its failure. */
export async function inSpan<Result>(
  name: string,
  attributes: SpanAttributes,
  work: () => Promise<Result>,
  codeOf: (error: unknown) => string,
): Promise<Result> {
  const parent = currentSpan();
  if (parent === undefined) return work();
  const span = parent.child(name, attributes);
  try {
    const result = await withSpan(span, work);
    span.end();
    return result;
  } catch (error) {
    span.end(codeOf(error));
    throw error;
  }
}
