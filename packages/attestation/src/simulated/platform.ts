import { randomBytes } from "node:crypto";
import { concatBytes, fromHex, utf8 } from "@cloister/encoding";
import type { Collateral } from "../collateral.ts";
import type { TrustAnchor } from "../trust-anchor.ts";
import {
  createAuthority,
  generateP256,
  issuePck,
  type Authority,
  type Identity,
  type KeyPair,
  type PckCa,
} from "./authority.ts";
import { issueCollateral, type SimulatedCollateralOptions } from "./collateral.ts";
import { signQuote } from "./quote.ts";
import { sgxExtension, type PlatformIds } from "./sgx-extension.ts";
import { sgxReport } from "./sgx-report.ts";
import { componentSvns, type SimulatedQeLevel, type SimulatedTcbLevel } from "./tcb-levels.ts";
import { tdReport, type TdReportFields } from "./td-report.ts";

const DAY_MS = 86_400_000;
/** FMSPC of every simulated platform: "SIM" in ASCII, then 000001. Intel's start with 00, 10, 20, ... and end in 0000. */
export const SIMULATED_FMSPC = "53494d000001";

const INIT = 1n;
const DEBUG = 2n;
const MODE64BIT = 4n;

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

interface CommonQuoteOptions {
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
}

/** Makes a platform with fresh keys, which never leave it. */
export function createSimulatedPlatform(options: SimulatedPlatformOptions): SimulatedPlatform {
  const { now, name = "simulated", validityDays = 3650, pckCa = "platform" } = options;
  const notBefore = new Date(now.getTime() - 3_600_000);
  const validity = { notBefore, notAfter: new Date(now.getTime() + validityDays * DAY_MS) };
  return new Platform(name, now, createAuthority(pckCa, validity));
}

class Platform implements SimulatedPlatform {
  readonly trustAnchor: TrustAnchor;
  readonly #now: Date;
  readonly #authority: Authority;
  readonly #ids: PlatformIds;
  readonly #attestationKey: KeyPair = generateP256();
  // As on real machines, each TCB level has its own PCK.
  readonly #pcks = new Map<SimulatedTcbLevel, Identity>();
  readonly #revokedByRoot: Uint8Array[] = [];
  readonly #revokedByPckCa: Uint8Array[] = [];

  constructor(name: string, now: Date, authority: Authority) {
    this.#now = now;
    this.#authority = authority;
    this.trustAnchor = { name, kind: "simulated", certificate: authority.root.der };
    this.#ids = {
      ppid: concatBytes(utf8("SIMULATED"), new Uint8Array(randomBytes(7))),
      pceId: new Uint8Array(2),
      fmspc: fromHex(SIMULATED_FMSPC) ?? new Uint8Array(6),
      platformInstanceId: new Uint8Array(randomBytes(16)),
    };
  }

  collateral(options: SimulatedCollateralOptions = {}): Collateral {
    const revoked = { byRoot: this.#revokedByRoot, byPckCa: this.#revokedByPckCa };
    return issueCollateral(this.#authority, this.#ids, revoked, { issuedAt: this.#now, ...options });
  }

  collateralFor(quote: Uint8Array, options: Omit<SimulatedCollateralOptions, "tee"> = {}): Collateral {
    return this.collateral({ ...options, tee: quote[4] === 0x81 ? "tdx" : "sgx" });
  }

  quote(options: SimulatedQuoteOptions): Uint8Array {
    const { tcbLevel = "UpToDate", version = 3, isvProdId = 0, isvSvn = 0, debug = false } = options;
    const attributeFlags = INIT | MODE64BIT | (debug ? DEBUG : 0n) | (options.extraAttributeFlags ?? 0n);
    const body = sgxReport({ ...options, isvProdId, isvSvn, attributeFlags, cpuSvn: componentSvns(tcbLevel) });
    return signQuote(version, "sgx", body, this.#signer(options));
  }

  tdQuote(options: SimulatedTdQuoteOptions): Uint8Array {
    const { version = 4, form = "1.0" } = options;
    if (version === 4 && form === "1.5") throw new RangeError("a version 4 quote cannot hold a TDX 1.5 report");
    return signQuote(version, "tdx", tdReport(options, form), this.#signer(options));
  }

  revokePck(tcbLevel: SimulatedTcbLevel = "UpToDate"): void {
    this.#revokedByPckCa.push(this.#pck(tcbLevel).serial);
  }

  revokePckCa(): void {
    this.#revokedByRoot.push(this.#authority.intermediate.serial);
  }

  revokeTcbSigner(): void {
    this.#revokedByRoot.push(this.#authority.tcbSigner.serial);
  }

  #signer({ tcbLevel = "UpToDate", qeLevel = "UpToDate" }: CommonQuoteOptions) {
    return {
      authority: this.#authority,
      pck: this.#pck(tcbLevel),
      attestationKey: this.#attestationKey,
      cpuSvn: componentSvns(tcbLevel),
      qeLevel,
    };
  }

  #pck(level: SimulatedTcbLevel): Identity {
    const known = this.#pcks.get(level);
    if (known !== undefined) return known;
    const made = issuePck(this.#authority, sgxExtension(this.#ids, this.#authority.pckCa, level));
    this.#pcks.set(level, made);
    return made;
  }
}
