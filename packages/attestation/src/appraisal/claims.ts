/** TCB status words of Intel's TCB info and QE identity. */
export type CollateralTcbStatus =
  | "UpToDate"
  | "SWHardeningNeeded"
  | "ConfigurationNeeded"
  | "ConfigurationAndSWHardeningNeeded"
  | "OutOfDate"
  | "OutOfDateConfigurationNeeded"
  | "Revoked";

/**
 * The merged status of an accepted platform. The two last ones exist for TD 1.5 only: the TDX module was replaced by an up to
 * date one after the TD was launched. `Revoked` never reaches claims: it is refused. `NotReported`: the verifier that vouches
 * judged the TCB by its own policy and does not tell; no policy here accepts it unless it names it.
 */
export type TcbStatus =
  Exclude<CollateralTcbStatus, "Revoked"> | "RelaunchAdvised" | "RelaunchAdvisedConfigurationNeeded" | "NotReported";

/** The SGX report body of an enclave. All byte strings as in the report; their lengths in bytes. */
export interface SgxClaims {
  /** 32. */
  readonly mrenclave: Uint8Array;
  /** 32. */
  readonly mrsigner: Uint8Array;
  readonly isvProdId: number;
  readonly isvSvn: number;
  /** 16: flags, then XFRM, each little endian. */
  readonly attributes: Uint8Array;
  /** Little-endian number of the 4 bytes. */
  readonly miscSelect: number;
  /** 16. */
  readonly cpuSvn: Uint8Array;
  /** 64. */
  readonly configId: Uint8Array;
  readonly configSvn: number;
  /** 16. */
  readonly isvExtProdId: Uint8Array;
  /** 16. */
  readonly isvFamilyId: Uint8Array;
}

/** The TD report of a trust domain. */
export interface TdxClaims {
  /** Layout of the report: TDX 1.0, 1.5, or 1.5 with the fields for partitioning and service TDs. */
  readonly reportVersion: "1.0" | "1.5" | "1.5-extended";
  /** 16. */
  readonly teeTcbSvn: Uint8Array;
  /** 48. */
  readonly mrSeam: Uint8Array;
  /** 48. */
  readonly mrSignerSeam: Uint8Array;
  /** 8. */
  readonly seamAttributes: Uint8Array;
  /** 8, little endian. */
  readonly tdAttributes: Uint8Array;
  /** 8, little endian. */
  readonly xfam: Uint8Array;
  /** 48. */
  readonly mrTd: Uint8Array;
  /** 48. */
  readonly mrConfigId: Uint8Array;
  /** 48. */
  readonly mrOwner: Uint8Array;
  /** 48. */
  readonly mrOwnerConfig: Uint8Array;
  /** Four of 48. */
  readonly rtmrs: readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  /** 16; 1.5 only. */
  readonly teeTcbSvn2?: Uint8Array;
  /** 48; 1.5 only. */
  readonly mrServiceTd?: Uint8Array;
  /** 237 bytes that this version does not interpret; extended reports only. */
  readonly extension?: Uint8Array;
}

export interface TcbClaims {
  /** Platform, quoting enclave and TDX module merged. */
  readonly status: TcbStatus;
  /** Of the platform's TCB level alone. */
  readonly platformStatus: CollateralTcbStatus | "NotReported";
  /** Of the quoting enclave's TCB level alone. */
  readonly qeStatus: CollateralTcbStatus | "NotReported";
  /** Of the TDX module's TCB level alone; TDX modules with an identity of their own only. */
  readonly tdxModuleStatus?: CollateralTcbStatus;
  /** Union over the parts, sorted, each once. */
  readonly advisoryIds: readonly string[];
  /** Lowest `tcbDate` of the parts; 1970 where it is not reported. */
  readonly tcbDate: Date;
  /** Lower `tcbEvaluationDataNumber` of TCB info and QE identity; 0 where it is not reported. */
  readonly evaluationDataNumber: number;
}

export interface DateClaims {
  /** Over the revocation lists and signed documents. */
  readonly earliestIssue: Date;
  /** Over the revocation lists and signed documents. */
  readonly latestIssue: Date;
  /** Over these and all certificates. After it the same evidence with the same collateral is refused. */
  readonly earliestExpiry: Date;
}

export type SgxType = "standard" | "scalable" | "scalable-with-integrity";

/** What the PCK certificate says about the machine. */
export interface PlatformClaims {
  /** 6 bytes. */
  readonly fmspc: Uint8Array;
  /** 2 bytes. */
  readonly pceId: Uint8Array;
  /** 16 bytes. */
  readonly ppid: Uint8Array;
  /** 16 bytes; certificates of the Platform CA only. */
  readonly platformInstanceId?: Uint8Array;
  readonly sgxType: SgxType;
  /** Certificates of the Platform CA only. */
  readonly flags?: PlatformFlags;
  readonly pckCa: "platform" | "processor";
  /** Lower-case hex. */
  readonly pckSerial: string;
}

export interface PlatformFlags {
  readonly dynamicPlatform: boolean;
  readonly cachedKeys: boolean;
  readonly smtEnabled: boolean;
}

/** CRL numbers of the lists that were checked. */
export interface CrlClaims {
  readonly rootCaCrlNumber: bigint;
  readonly pckCrlNumber: bigint;
}

declare const verified: unique symbol;

/** Who vouches for claims: this software's own check of quote and collateral, or Microsoft Azure Attestation, which was asked. */
export type VerifierName = "dcap" | "maa";

/**
 * What a quote proves, after every check of the appraisal. Only `appraise`, its WebCrypto twin and `appraiseMaaToken` make it.
 * It says nothing about whether the claims are acceptable: that is policy.
 */
export interface VerifiedClaims {
  readonly [verified]: true;
  readonly verifier: VerifierName;
  readonly tee: "sgx" | "tdx";
  readonly quoteVersion: 3 | 4 | 5;
  /** True where the trust anchor is a simulated one: no hardware stands behind the claims. */
  readonly simulated: boolean;
  /** Name of the trust anchor; of an attestation service, its address. */
  readonly anchor: string;
  /** SHA-256 of the anchor's certificate, or of the service's address; lower-case hex. */
  readonly anchorSha256: string;
  /** 64 bytes chosen by the enclave or TD. */
  readonly reportData: Uint8Array;
  /** The host can read and change the enclave or TD. */
  readonly debug: boolean;
  readonly sgx?: SgxClaims;
  readonly tdx?: TdxClaims;
  readonly tcb: TcbClaims;
  readonly dates: DateClaims;
  readonly platform: PlatformClaims;
  /** Absent where the verifier does not tell. */
  readonly crls?: CrlClaims;
  /** Names of the steps that were checked, in order. */
  readonly checked: readonly string[];
}
