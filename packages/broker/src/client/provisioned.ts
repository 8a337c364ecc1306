import type { KeyObject } from "node:crypto";
import type { Secret } from "@cloister/encoding";
import type { LogProof } from "@cloister/release-log";

/** Where a broker listens. `serverName` is the DNS name its certificate has to carry. */
export interface BrokerEndpoint {
  readonly host: string;
  readonly port: number;
  readonly serverName: string;
}

export interface ProvisionOptions {
  /** Tried in order; the next one on a failure to connect or to shake hands, never after the request was sent. */
  readonly brokers: readonly [BrokerEndpoint, ...BrokerEndpoint[]];
  /** PEM of the CA that signed the brokers' certificates. Part of what the enclave's measurement covers. */
  readonly ca: string;
  /** The RA-TLS key. Make a fresh one for each provisioning. */
  readonly privateKey: KeyObject;
  /** The RA-TLS certificate over that key. */
  readonly certificateDer: Uint8Array;
  /** PKCS#10 DER of the serving key; its private half stays here. */
  readonly csr: Uint8Array;
  /** For the whole exchange with one broker. Default 20,000. */
  readonly timeoutMs?: number;
  /** Ed25519 key of the release log. When given, the log proof has to carry its signature. */
  readonly logKey?: KeyObject;
  readonly signal?: AbortSignal;
}

export interface Provisioned {
  readonly broker: BrokerEndpoint;
  readonly wrapKey: Secret;
  /** Encoded signed bundle manifest: not yet verified, `openBundle` does that. */
  readonly bundleManifest: Uint8Array;
  readonly ownerKey: KeyObject;
  readonly model: { readonly name: string; readonly version: number };
  readonly minimumGeneration: number;
  /** PEM chain for the key of the CSR, leaf first. */
  readonly servingCertificate: string;
  readonly clientCa: string | null;
  readonly clientVerify: boolean;
  readonly logProof: LogProof;
}
