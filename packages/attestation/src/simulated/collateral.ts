import { sign } from "node:crypto";
import { toHex, utf8 } from "@cloister/encoding";
import { encodePem } from "@cloister/encoding/pem";
import type { Collateral } from "../collateral/collateral.ts";
import { issueCrl, type Authority } from "./authority.ts";
import { quotingEnclave, type SimulatedTee } from "./quoting-enclave.ts";
import type { PlatformIds } from "./sgx-extension.ts";
import { componentSvns, PCE_SVN, PLATFORM_LEVELS, QE_LEVELS } from "./tcb-levels.ts";
import { TDX_COMPONENT_SVNS, TDX_MODULE_ID, TDX_MODULE_SVN } from "./td-report.ts";

const DAY_MS = 86_400_000;

export interface SimulatedCollateralOptions {
  /** Default "sgx". */
  readonly tee?: SimulatedTee;
  /** Issue date of every item. Default: the platform's `now`. */
  readonly issuedAt?: Date;
  /** Until nextUpdate. Default 30. */
  readonly validityDays?: number;
  /** Default 1. */
  readonly tcbEvaluationDataNumber?: number;
}

/** Serials on the two revocation lists. */
export interface Revocations {
  readonly byRoot: readonly Uint8Array[];
  readonly byPckCa: readonly Uint8Array[];
}

/** Signs a full set of collateral, in the form in which Intel's service would give it. */
export function issueCollateral(
  authority: Authority,
  ids: PlatformIds,
  revoked: Revocations,
  options: SimulatedCollateralOptions & { readonly issuedAt: Date },
): Collateral {
  const { root, intermediate, tcbSigner } = authority;
  const { issuedAt, validityDays = 30, tee = "sgx", tcbEvaluationDataNumber = 1 } = options;
  const common = { issuedAt, nextUpdate: addDays(issuedAt, validityDays), tcbEvaluationDataNumber, tee };
  const signerChain = encodePem("CERTIFICATE", tcbSigner.der) + encodePem("CERTIFICATE", root.der);
  return {
    tcbInfo: signedBody("tcbInfo", tcbInfo(common, ids), authority),
    tcbInfoIssuerChain: signerChain,
    qeIdentity: signedBody("enclaveIdentity", enclaveIdentity(common), authority),
    qeIdentityIssuerChain: signerChain,
    rootCaCrl: issueCrl(root, revoked.byRoot, issuedAt, validityDays),
    pckCrl: issueCrl(intermediate, revoked.byPckCa, issuedAt, validityDays),
    pckCrlIssuerChain: encodePem("CERTIFICATE", intermediate.der) + encodePem("CERTIFICATE", root.der),
  };
}

interface Common {
  readonly tee: SimulatedTee;
  readonly issuedAt: Date;
  readonly nextUpdate: Date;
  readonly tcbEvaluationDataNumber: number;
}

/** TCB info version 3. The order of the members is Intel's; the signature is over this very text. */
function tcbInfo({ tee, issuedAt, nextUpdate, tcbEvaluationDataNumber }: Common, ids: PlatformIds): object {
  return {
    id: tee === "tdx" ? "TDX" : "SGX",
    version: 3,
    issueDate: isoSeconds(issuedAt),
    nextUpdate: isoSeconds(nextUpdate),
    fmspc: toHex(ids.fmspc).toUpperCase(),
    pceId: toHex(ids.pceId).toUpperCase(),
    tcbType: 0,
    tcbEvaluationDataNumber,
    ...(tee === "tdx" && tdxModules(issuedAt)),
    tcbLevels: PLATFORM_LEVELS.map((level) => {
      const sgx = { sgxtcbcomponents: svnList(componentSvns(level.status)), pcesvn: PCE_SVN };
      return withStatus(
        tee === "tdx" ? { ...sgx, tdxtcbcomponents: svnList(TDX_COMPONENT_SVNS) } : sgx,
        level,
        issuedAt,
      );
    }),
  };
}

function tdxModules(issuedAt: Date): object {
  const signer = { mrsigner: "00".repeat(48), attributes: "00".repeat(8), attributesMask: "FF".repeat(8) };
  const level = { tcb: { isvsvn: TDX_MODULE_SVN }, tcbDate: isoDay(addDays(issuedAt, -90)), tcbStatus: "UpToDate" };
  return { tdxModule: signer, tdxModuleIdentities: [{ id: TDX_MODULE_ID, ...signer, tcbLevels: [level] }] };
}

/** QE identity version 2. Mask and values are those of Intel's quoting enclaves; the signer is our own. */
function enclaveIdentity({ tee, issuedAt, nextUpdate, tcbEvaluationDataNumber }: Common): object {
  const enclave = quotingEnclave(tee);
  return {
    id: enclave.id,
    version: 2,
    issueDate: isoSeconds(issuedAt),
    nextUpdate: isoSeconds(nextUpdate),
    tcbEvaluationDataNumber,
    miscselect: "00000000",
    miscselectMask: "FFFFFFFF",
    attributes: "11000000000000000000000000000000",
    attributesMask: "FBFFFFFFFFFFFFFF0000000000000000",
    mrsigner: toHex(enclave.mrsigner).toUpperCase(),
    isvprodid: enclave.isvProdId,
    tcbLevels: QE_LEVELS.map((level) => withStatus({ isvsvn: level.svn }, level, issuedAt)),
  };
}

type AnyLevel = (typeof PLATFORM_LEVELS)[number] | (typeof QE_LEVELS)[number];

function withStatus(tcb: object, level: AnyLevel, issuedAt: Date): object {
  const tcbDate = isoDay(addDays(issuedAt, -level.ageDays));
  const known = { tcb, tcbDate, tcbStatus: level.status };
  return level.advisoryIds.length > 0 ? { ...known, advisoryIDs: level.advisoryIds } : known;
}

function signedBody(member: "tcbInfo" | "enclaveIdentity", body: object, { tcbSigner }: Authority): Uint8Array {
  const text = JSON.stringify(body);
  const signature = sign("sha256", utf8(text), { key: tcbSigner.privateKey, dsaEncoding: "ieee-p1363" });
  return utf8(`{"${member}":${text},"signature":"${toHex(signature)}"}`);
}

function svnList(svns: Uint8Array): { svn: number }[] {
  return Array.from(svns, (svn) => ({ svn }));
}

function addDays(time: Date, days: number): Date {
  return new Date(time.getTime() + days * DAY_MS);
}

function isoSeconds(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`;
}

function isoDay(time: Date): string {
  return `${time.toISOString().slice(0, 10)}T00:00:00Z`;
}
