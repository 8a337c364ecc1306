/**
 * The release policy after parsing: which enclave gets which secret, under which conditions. Plain data (no dates, no byte
 * arrays), so that it has one canonical JSON form and one digest. Hex is lower case.
 */

/** Schema identifier every policy file starts with. */
export const POLICY_SCHEMA = "cloister-policy/1";

export interface Policy {
  readonly schema: typeof POLICY_SCHEMA;
  /** A production policy (the default) refuses to parse with a simulated platform or a debug enclave in it. */
  readonly production: boolean;
  readonly workloads: readonly Workload[];
}

/** One kind of enclave and what it may have. All its conditions have to hold. */
export interface Workload {
  readonly name: string;
  /** What runs: any one of these has to match. */
  readonly identities: readonly Identity[];
  /** Under which trust anchors the evidence has to stand: any one of these. Attestation services stand alone. */
  readonly platforms: readonly PlatformRule[];
  readonly tcb: TcbRule;
  /** Whether a debug enclave, whose memory its host can read, is accepted. */
  readonly debug: boolean;
  /** Allow-list of 6-byte FMSPCs; null allows every one. */
  readonly fmspcs: readonly string[] | null;
  /** Allow-list of 16-byte PPIDs; null allows every one. */
  readonly ppids: readonly string[] | null;
  readonly validity: { readonly notBefore: string | null; readonly notAfter: string | null };
  readonly certificate: CertificateRule;
  readonly secrets: SecretsRule;
}

export type Identity = SgxIdentity | TdxIdentity;

/** Either the exact enclave (`mrenclave`), or its signer with product id and minimum security version, or both. */
export interface SgxIdentity {
  readonly tee: "sgx";
  /** 32 bytes; null: any enclave of the signer. */
  readonly mrenclave: string | null;
  /** 32 bytes; null only beside an `mrenclave`. */
  readonly mrsigner: string | null;
  readonly isvProdId: number | null;
  readonly minimumIsvSvn: number | null;
}

/** A trust domain: the build-time measurement, and those run-time measurements that are not null. 48 bytes each. */
export interface TdxIdentity {
  readonly tee: "tdx";
  readonly mrtd: string;
  readonly rtmrs: readonly (string | null)[];
}

export type PlatformRule =
  | { readonly kind: "intel" }
  /** A simulated TEE protects nothing. It is accepted only by the SHA-256 of its generated root certificate. */
  | { readonly kind: "simulated"; readonly anchorSha256: string }
  | ServiceRule;

/**
 * Microsoft Azure Attestation at that address vouches for the quote. It judges the TCB by its own policy and does not tell how,
 * so `tcb` of such a workload has to be left out. `simulated-maa` is a stand-in for tests, which vouches for simulated
 * platforms.
 */
export interface ServiceRule {
  readonly kind: "maa" | "simulated-maa";
  readonly url: string;
}

export interface TcbRule {
  readonly statuses: readonly TcbStatusName[];
  /** Advisories that may be open. Null: any, as long as the status is allowed. */
  readonly acceptedAdvisories: readonly string[] | null;
  readonly minimumEvaluationDataNumber: number;
  /** Oldest issue date of any collateral, in days before the appraisal; null: only the collateral's own expiry counts. */
  readonly maximumCollateralAgeDays: number | null;
}

/** Intel's status names. `Revoked` cannot be allowed. */
export type TcbStatusName =
  | "UpToDate"
  | "SWHardeningNeeded"
  | "ConfigurationNeeded"
  | "ConfigurationAndSWHardeningNeeded"
  | "OutOfDate"
  | "OutOfDateConfigurationNeeded"
  | "RelaunchAdvised"
  | "RelaunchAdvisedConfigurationNeeded";

/** Conditions on the RA-TLS certificate itself. Its key is what ties the evidence to the connection. */
export interface CertificateRule {
  /** Longest time since the certificate's notBefore, in seconds. Null: stock Gramine, which dates back to 2001. */
  readonly maximumAgeSeconds: number | null;
  /** Whether one RA-TLS key may be served more than once. */
  readonly allowRenewal: boolean;
  /** Accept the RSA-3072 keys of Gramine 1.3 and earlier. */
  readonly allowLegacyRsa: boolean;
}

/** What an admitted enclave gets. */
export interface SecretsRule {
  readonly keyId: string;
  /** How the first secret goes over Gramine's protocol: `raw16` since Gramine 1.3, `hexNul` before, `text` for strings. */
  readonly encoding: SecretEncoding;
  /** The model an enclave of this system may open with the key; null: nothing but the key (stock clients). */
  readonly model: ModelRule | null;
  /** The TLS identity under which it serves; null: none is issued. */
  readonly serving: ServingRule | null;
  /** More keys, by the names under which the enclave asks for them. Over the native protocol only. */
  readonly additional: readonly NamedKey[];
  /** For how long an enclave of this system may serve before it has to be admitted again; null: without end. */
  readonly leaseSeconds: number | null;
}

export interface NamedKey {
  readonly name: string;
  readonly keyId: string;
}

export type SecretEncoding = "raw16" | "hexNul" | "text";

export interface ModelRule {
  readonly name: string;
  readonly version: number;
  /** Bundles of an older generation are refused by the enclave (rollback). */
  readonly minimumGeneration: number;
}

export interface ServingRule {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly validitySeconds: number;
  /** Whether requesters have to show a certificate (mutual TLS). */
  readonly clientVerify: boolean;
}
