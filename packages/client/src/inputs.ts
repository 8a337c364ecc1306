import type { Tensor } from "@cloister/encoding/tensor";
import type { Example } from "./examples.ts";

export interface CallOptions {
  /** For all attempts together; none where absent. */
  readonly deadlineMs?: number;
  /** All calls of this client are idempotent. Default 5. */
  readonly retries?: number;
  /** Send it over the next connection as well when there is no answer after this time; the first answer counts. */
  readonly hedgeAfterMs?: number;
  readonly signal?: AbortSignal;
  /** The trace that the call belongs to, as a `traceparent` header. (W3C Trace Context, section 3.2) Sealed sessions do not carry it. */
  readonly traceParent?: string;
}

/** Which model. */
export interface ModelInput {
  readonly model: string;
  /** The latest available version where absent. */
  readonly version?: number | bigint;
}

export interface PredictInput extends ModelInput {
  /** "serving_default" where absent. */
  readonly signature?: string;
  readonly inputs: ReadonlyMap<string, Tensor>;
  /** Output aliases; all where absent. */
  readonly outputs?: readonly string[];
}

export interface ExamplesInput extends ModelInput {
  readonly signature?: string;
  readonly examples: readonly Example[];
  /** Features of every example. */
  readonly context?: Example;
}
