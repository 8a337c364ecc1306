import type { Secret } from "@cloister/encoding";
import type { Collateral } from "../collateral/collateral.ts";
import type { TrustAnchor } from "../appraisal/trust-anchor.ts";
import type { PckCa } from "./authority.ts";
import type { SimulatedCollateralOptions } from "./collateral.ts";
import type { SimulatedQeLevel, SimulatedTcbLevel } from "./tcb-levels.ts";
import type { TdReportFields } from "./td-report.ts";

export interface SimulatedPlatformOptions {
  /** When everything is issued. Certificates begin an hour before. */
  readonly now: Date;
  /** Name of the trust anchor. Default "simulated". */
  readonly name?: string;
  /** Of certificates. Default 3650. */
  readonly validityDays?: number;
  /** Default "platform". */
  readonly pckCa?: PckCa;
}

export interface CommonQuoteOptions {
  /** Up to 64 bytes, padded with zeros. */
  readonly reportData: Uint8Array;
  readonly debug?: boolean;
  /** Status that the platform's TCB has under this platform's TCB info. Default "UpToDate". */
  readonly tcbLevel?: SimulatedTcbLevel;
  /** Default "UpToDate". */
  readonly qeLevel?: SimulatedQeLevel;
}

export interface SimulatedQuoteOptions extends CommonQuoteOptions {
  /** Default 3. */
  readonly version?: 3 | 4 | 5;
  /** 32 bytes each. */
  readonly mrenclave: Uint8Array;
  readonly mrsigner: Uint8Array;
  readonly isvProdId?: number;
  readonly isvSvn?: number;
  /** 64 bytes. */
  readonly configId?: Uint8Array;
  readonly configSvn?: number;
  /** Bits of ATTRIBUTES.FLAGS to set beside INIT, MODE64BIT and DEBUG. */
  readonly extraAttributeFlags?: bigint;
}

export interface SimulatedTdQuoteOptions extends CommonQuoteOptions, TdReportFields {
  /** Default 4. */
  readonly version?: 4 | 5;
  /** TDX 1.5 needs version 5. Default "1.0". */
  readonly form?: "1.0" | "1.5";
}

/** A simulated machine with its own manufacturer: certificates, collateral and quotes. Never a proof of anything. */
export interface SimulatedPlatform {
  readonly trustAnchor: TrustAnchor;
  readonly pckCa: PckCa;
  /** Collateral as its manufacturer would serve it, with the present revocations. */
  collateral(options?: SimulatedCollateralOptions): Collateral;
  /** Collateral for the TEE that a quote names in its header. */
  collateralFor(quote: Uint8Array, options?: Omit<SimulatedCollateralOptions, "tee">): Collateral;
  /** A quote of an SGX enclave. */
  quote(options: SimulatedQuoteOptions): Uint8Array;
  /** A quote of a TDX trust domain. */
  tdQuote(options: SimulatedTdQuoteOptions): Uint8Array;
  /** Puts the PCK certificate of a TCB level on the revocation list of later collateral. */
  revokePck(tcbLevel?: SimulatedTcbLevel): void;
  revokePckCa(): void;
  revokeTcbSigner(): void;
  /** The whole platform with its private keys, for `restoreSimulatedPlatform`. */
  save(): Secret;
}
