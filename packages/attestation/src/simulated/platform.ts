import { randomBytes } from "node:crypto";
import { concatBytes, fromHex, utf8, type Secret } from "@cloister/encoding";
import type { Collateral } from "../collateral/collateral.ts";
import type { TrustAnchor } from "../appraisal/trust-anchor.ts";
import { createAuthority, generateP256, issuePck, type Identity, type PckCa } from "./authority.ts";
import { issueCollateral, type SimulatedCollateralOptions } from "./collateral.ts";
import type {
  CommonQuoteOptions,
  SimulatedPlatform,
  SimulatedPlatformOptions,
  SimulatedQuoteOptions,
  SimulatedTdQuoteOptions,
} from "./platform-options.ts";
import { signQuote, type QuoteSigner } from "./quote.ts";
import { sgxExtension } from "./sgx-extension.ts";
import { sgxReport } from "./sgx-report.ts";
import { decodeState, encodeState, type PlatformState } from "./state.ts";
import { componentSvns, type SimulatedTcbLevel } from "./tcb-levels.ts";
import { tdReport } from "./td-report.ts";

const DAY_MS = 86_400_000;
/** FMSPC of every simulated platform: "SIM" in ASCII, then 000001. Intel's start with 00, 10, 20, ... and end in 0000. */
export const SIMULATED_FMSPC = "53494d000001";

const INIT = 1n;
const DEBUG = 2n;
const MODE64BIT = 4n;

/** Makes a platform with fresh keys, which stay in memory unless `save()` is called. */
export function createSimulatedPlatform(options: SimulatedPlatformOptions): SimulatedPlatform {
  const { now, name = "simulated", validityDays = 3650, pckCa = "platform" } = options;
  const notBefore = new Date(now.getTime() - 3_600_000);
  const validity = { notBefore, notAfter: new Date(now.getTime() + validityDays * DAY_MS) };
  return new Platform({
    name,
    now,
    authority: createAuthority(pckCa, validity),
    ids: {
      ppid: concatBytes(utf8("SIMULATED"), new Uint8Array(randomBytes(7))),
      pceId: new Uint8Array(2),
      fmspc: fromHex(SIMULATED_FMSPC) ?? new Uint8Array(6),
      platformInstanceId: new Uint8Array(randomBytes(16)),
    },
    attestationKey: generateP256(),
    pcks: new Map(),
    revokedByRoot: [],
    revokedByPckCa: [],
  });
}

/**
 * The platform that `save()` wrote, with its keys, its trust anchor and its revocations.
 * Throws `EncodingError` or `TypeError` for anything else: the text is the installation's own, not an input.
 */
export function restoreSimulatedPlatform(saved: Secret): SimulatedPlatform {
  return new Platform(decodeState(saved));
}

class Platform implements SimulatedPlatform {
  readonly trustAnchor: TrustAnchor;
  readonly pckCa: PckCa;
  readonly #state: PlatformState;
  readonly #certified = new Map<string, Uint8Array>();

  constructor(state: PlatformState) {
    this.#state = state;
    this.pckCa = state.authority.pckCa;
    this.trustAnchor = { name: state.name, kind: "simulated", certificate: state.authority.root.der };
  }

  collateral(options: SimulatedCollateralOptions = {}): Collateral {
    const { authority, ids, now, revokedByRoot, revokedByPckCa } = this.#state;
    const revoked = { byRoot: revokedByRoot, byPckCa: revokedByPckCa };
    return issueCollateral(authority, ids, revoked, { issuedAt: now, ...options });
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
    this.#state.revokedByPckCa.push(this.#pck(tcbLevel).serial);
  }

  revokePckCa(): void {
    this.#state.revokedByRoot.push(this.#state.authority.intermediate.serial);
  }

  revokeTcbSigner(): void {
    this.#state.revokedByRoot.push(this.#state.authority.tcbSigner.serial);
  }

  save(): Secret {
    return encodeState(this.#state);
  }

  #signer({ tcbLevel = "UpToDate", qeLevel = "UpToDate" }: CommonQuoteOptions): QuoteSigner {
    const { authority, attestationKey } = this.#state;
    const certified = this.#certified;
    return { authority, attestationKey, pck: this.#pck(tcbLevel), cpuSvn: componentSvns(tcbLevel), qeLevel, certified };
  }

  #pck(level: SimulatedTcbLevel): Identity {
    const { authority, ids, pcks } = this.#state;
    const known = pcks.get(level);
    if (known !== undefined) return known;
    const made = issuePck(authority, sgxExtension(ids, authority.pckCa, level));
    pcks.set(level, made);
    return made;
  }
}
