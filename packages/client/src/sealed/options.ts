import type { AttestationOptions } from "../attested/options.ts";

export interface SealedOptions {
  /** The REST listener of a replica or gateway: `https://host:port`. */
  readonly url: string;
  /** What a replica has to prove before it is sent anything. */
  readonly attestation: AttestationOptions;
  /** A session that is older is replaced, so that its replica is appraised again. Default 5 minutes. */
  readonly maxSessionAgeMs?: number;
  /** Largest answer. Default 64 MiB. */
  readonly maxMessageBytes?: number;
  /** Default: the global one. */
  readonly fetch?: typeof globalThis.fetch;
}
