import type { RepeatOptions } from "../channel/retry.ts";

export interface RestRequest extends RepeatOptions {
  readonly method: "GET" | "POST";
  /** From `/v1/` on. */
  readonly path: string;
  /** JSON. */
  readonly body: Uint8Array;
  /** The header `traceparent`. */
  readonly traceParent?: string | undefined;
}

export interface RestResponse {
  readonly status: number;
  readonly body: Uint8Array;
  /** The replica that answered, as it says itself. */
  readonly replica?: string | undefined;
}

/** A way to a REST API. */
export interface RestTransport {
  /** Sends a request, again where it failed and retries are left. Throws `ClientError`; an error status is no failure. */
  send(request: RestRequest): Promise<RestResponse>;
  close(): Promise<void>;
}
