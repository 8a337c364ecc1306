import type { KeyObject } from "node:crypto";
import type { Secret } from "@cloister/encoding";
import type { LogProof } from "@cloister/release-log";

/** Where a broker listens. `serverName` is the DNS name its certificate has to carry. */
export interface BrokerEndpoint {
  readonly host: string;
  readonly port: number;
  readonly serverName: string;
}

export interface ConnectionOptions {
  /** Tried in order; the next one on a failure to connect or to shake hands, never after the request was sent. */
  readonly brokers: readonly [BrokerEndpoint, ...BrokerEndpoint[]];
  /** PEM of the CA that signed the brokers' certificates. Part of what the enclave's measurement covers. */
  readonly ca: string;
  /** What is shown in the handshake: the RA-TLS certificate and its key. The native protocol shows none. */
  readonly privateKey?: KeyObject;
  readonly certificateDer?: Uint8Array;
  /** For the whole exchange with one broker. Default 20,000. */
  readonly timeoutMs?: number;
  /** Ed25519 key of the release log. When given, the log proof has to carry its signature. */
  readonly logKey?: KeyObject;
  readonly signal?: AbortSignal;
}

export interface ProvisionOptions extends ConnectionOptions {
  /** The RA-TLS key. Make a fresh one for each provisioning. */
  readonly privateKey: KeyObject;
  /** The RA-TLS certificate over that key. */
  readonly certificateDer: Uint8Array;
  /** PKCS#10 DER of the serving key; its private half stays here. */
  readonly csr: Uint8Array;
}

export interface NativeProvisionOptions extends Omit<ConnectionOptions, "privateKey" | "certificateDer"> {
  /** The public key that the evidence, the certificate request and the log entry are about. Fresh for each provisioning. */
  readonly publicKey: KeyObject;
  /** Makes the RA-TLS certificate over that key whose evidence holds `nonce`. */
  readonly certificate: (nonce: Uint8Array) => Promise<Uint8Array>;
  /** PKCS#10 DER of the same key; without it no serving certificate comes. */
  readonly csr?: Uint8Array;
}

/** What an enclave gets over the native protocol. Whoever has it wipes the secrets. */
export interface NativeProvisioned {
  readonly broker: BrokerEndpoint;
  /** The workload's key: the newest version first, then those that a rotation still lets overlap. */
  readonly keys: readonly [NamedSecret, ...NamedSecret[]];
  /** Further secrets by the names that the policy gives them. */
  readonly secrets: ReadonlyMap<string, Secret>;
  /** Not yet verified, `openBundle` does that. Null where the policy names no model. */
  readonly model: ProvisionedModel | null;
  readonly serving: ProvisionedServing | null;
  /** For how long the enclave may serve before it is admitted again; null: without end. */
  readonly leaseSeconds: number | null;
  readonly logProof: LogProof;
}

export interface NamedSecret {
  /** With its version, as the log has it. */
  readonly keyId: string;
  readonly secret: Secret;
}

export interface ProvisionedModel {
  readonly name: string;
  readonly version: number;
  readonly minimumGeneration: number;
  readonly bundleManifest: Uint8Array;
  readonly ownerKey: KeyObject;
}

export interface ProvisionedServing {
  /** PEM chain for the key of the request, leaf first. */
  readonly certificate: string;
  readonly clientCa: string | null;
  readonly clientVerify: boolean;
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
