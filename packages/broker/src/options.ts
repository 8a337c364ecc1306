import type { Collateral, TrustAnchor } from "@cloister/attestation";
import type { RaTlsAppraisalOptions, RaTlsEvidence, VerifiedPeer } from "@cloister/attestation/ra-tls";
import type { Secret } from "@cloister/encoding";
import type { Policy, ServiceRule, ServingRule } from "@cloister/policy";
import type { ReleaseLog } from "@cloister/release-log";
import type { BrokerEvent } from "./monitoring/events.ts";

/** Where the broker finds secrets. Each call may do I/O; the broker wipes nothing it gets from here. */
export interface KeySource {
  /** The secret of that id. Throws (or rejects) when there is none; the request is then refused. */
  secret(keyId: string): Promise<Secret>;
  /**
   * All secrets that the id stands for now, the newest first: after a rotation the older one too, until it retires. A source
   * without rotation leaves it out.
   */
  versions?(keyId: string): Promise<readonly KeyVersion[]>;
}

export interface KeyVersion {
  /** The id with its version, for example `models/digits/1@2`. */
  readonly keyId: string;
  readonly secret: Secret;
}

/** What an admitted enclave gets beside its key, as the owner published it. */
export interface PublishedBundle {
  /** Encoded signed manifest (`encodeBundleManifest`). */
  readonly manifest: Uint8Array;
  /** The owner's Ed25519 public key, SubjectPublicKeyInfo DER. */
  readonly ownerKey: Uint8Array;
}

export interface BundleSource {
  bundle(model: { readonly name: string; readonly version: number }): Promise<PublishedBundle>;
}

/** Signs the serving key of an admitted enclave. The names come from the policy, never from the request. */
export interface ServingCa {
  /** `csr` is PKCS#10 DER with a valid self-signature. Returns the PEM chain, leaf first. */
  issue(csr: Uint8Array, rule: ServingRule): Promise<string>;
  /** PEM of the CA that signs requesters' certificates, or null where there is none. */
  readonly clientCa: string | null;
}

export interface BrokerLimits {
  /**
   * Open connections in all. At the limit the oldest one that has not asked for anything is dropped; where all are at work, as many
   * newcomers wait for a place, for as long as a handshake may take.
   */
  readonly connections: number;
  /** Open connections of one address, and newcomers of it that wait. */
  readonly connectionsPerAddress: number;
  /** How long a connection has before it may be dropped for a newcomer: until then a handshake is under way, not idle. */
  readonly displaceAfterMs: number;
  /** Evidence waiting for collateral or appraisal; more are refused with BROKER_BUSY. */
  readonly pendingAppraisals: number;
  readonly handshakeTimeoutMs: number;
  /** Longest silence while the broker waits for bytes of the peer. */
  readonly idleTimeoutMs: number;
  /** Whole life of one connection. */
  readonly connectionTimeoutMs: number;
}

export interface BrokerOptions {
  readonly host: string;
  /** 0 takes any free port; the one taken is in `Broker.address`. */
  readonly port: number;
  /** PEM. Enclaves check this certificate against the CA that is part of their measurement. */
  readonly tls: { readonly key: string; readonly cert: string; readonly allowTls13?: boolean };
  readonly policy: Policy;
  readonly keys: KeySource;
  readonly bundles?: BundleSource;
  readonly servingCa?: ServingCa;
  readonly collateral: (quote: Uint8Array) => Promise<Collateral>;
  readonly anchors: readonly TrustAnchor[];
  readonly log: ReleaseLog;
  readonly clock?: () => Date;
  readonly limits?: Partial<BrokerLimits>;
  readonly onEvent?: (event: BrokerEvent) => void;
  /** The verifier; one that remembers collateral unless a test puts another in its place. */
  readonly appraise?: Appraise;
  /** Asks the attestation services that the policy names; over the network unless a test puts another in its place. */
  readonly askService?: AskService;
}

export type Appraise = (
  certificate: RaTlsEvidence,
  collateral: Collateral,
  time: Date,
  options: RaTlsAppraisalOptions,
) => Promise<VerifiedPeer>;

export type AskService = (
  service: ServiceRule,
  certificate: RaTlsEvidence,
  time: Date,
  options: RaTlsAppraisalOptions,
) => Promise<VerifiedPeer>;

export interface Broker {
  readonly address: { readonly host: string; readonly port: number };
  /** Takes effect for every decision not yet made; a release whose log entry is still being written is decided again. */
  replacePolicy(policy: Policy): void;
  /**
   * Parses an untrusted value (a file that changed) and puts it in place, or keeps the last good policy, raises the alarm
   * POLICY_REJECTED and returns false.
   */
  reloadPolicy(value: unknown): boolean;
  /** Another key and certificate for connections to come; those that are open go on. */
  replaceTls(tls: Pick<BrokerOptions["tls"], "key" | "cert">): void;
  /** Stops listening, lets connections in progress finish for at most `graceMs` (default 1000), then drops them. */
  close(graceMs?: number): Promise<void>;
}
