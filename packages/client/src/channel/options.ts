import type { Attestor } from "../attested/attestor.ts";

/** Whom to trust, and who we are. PEM texts. */
export interface ChannelTls {
  /**
   * Authorities that may sign the server's certificate. With `attestation` it may be left out: then the evidence alone says
   * whose key the certificate holds.
   */
  readonly ca?: string;
  /** The client's own certificate chain and key, for mutual TLS. */
  readonly cert?: string;
  readonly key?: string;
  /** The name that the server's certificate must carry; the address's host where it is absent. */
  readonly serverName?: string;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface ChannelOptions {
  readonly address: Address;
  /** Further addresses of the same service: new connections go to all of them in turn, past those that fail. */
  readonly moreAddresses?: readonly Address[];
  /**
   * Asked before each new connection for the addresses behind a name, which then get connections in turn: `allAddresses` for a headless
   * Service in Kubernetes. Absent: the system chooses one.
   */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  readonly tls?: ChannelTls;
  /** Plaintext. Never together with `tls`. */
  readonly insecure?: boolean;
  /** Judges each new connection before its first request. */
  readonly attestation?: Attestor;
  /** Connections that calls are spread over, one by one. Default 1. */
  readonly connections?: number;
  /**
   * A connection that is older takes no new call and is replaced, so that replicas which came later get load. Spread over a
   * tenth, so that connections do not end together. Default: they live as long as they work.
   */
  readonly maxConnectionAgeMs?: number;
  /** Time for TCP and TLS together. Default 5,000 ms. */
  readonly connectTimeoutMs?: number;
  /** Largest response message. Default 64 MiB. */
  readonly maxMessageBytes?: number;
}

/** One call at the level of bytes. */
export interface UnaryRequest {
  /** `/package.Service/Method` */
  readonly path: string;
  /** The message, prefixed (`@cloister/encoding/grpc`). It may be sent more than once. */
  readonly frame: Uint8Array;
  readonly deadlineMs?: number | undefined;
  /** How often a call that failed with UNAVAILABLE or lost its connection is sent again. Only for idempotent calls. */
  readonly retries?: number | undefined;
  /** Sent once more, over the next of the `connections`, when there is no answer after this time. Only for idempotent calls. */
  readonly hedgeAfterMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The header `traceparent`. */
  readonly traceParent?: string | undefined;
}

export interface UnaryResponse {
  readonly message: Uint8Array;
  /** The replica that answered, as it says itself in the header `cloister-replica`. */
  readonly replica: string | undefined;
}
