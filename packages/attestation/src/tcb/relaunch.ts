import type { CollateralTcbStatus, TcbStatus, TdxClaims } from "../appraisal/claims.ts";
import type { PartStatus, TcbInfo } from "../documents/tcb-info.ts";
import { refusal } from "../errors.ts";
import { isOutOfDate, needsConfiguration } from "./merge.ts";
import { findModuleIdentity, moduleSvn } from "./tdx-module.ts";

/** The statuses that the advice rests on. */
export interface RelaunchInput {
  /** Of the level by SGX components alone. */
  readonly sgx: CollateralTcbStatus;
  /** Of the TDX level merged with the module. */
  readonly tdx: TcbStatus | "Revoked";
  readonly module: PartStatus | undefined;
  readonly qe: PartStatus;
}

/**
 * Whether a TD 1.5 that counts as out of date only needs to be launched again: everything but the TDX module is current, and
 * the module that runs now (TEE_TCB_SVN_2) is the newest (dcap.md C.5, step 13). Gives the status that then takes its place.
 * Throws `AttestationError` TDX_MODULE_UNKNOWN where the module that runs now has no identity.
 */
export function relaunchStatus(info: TcbInfo, report: TdxClaims, statuses: RelaunchInput): TcbStatus | undefined {
  const { sgx, tdx, module, qe } = statuses;
  const onlyModuleIsOld = qe === "UpToDate" && sgx !== "Revoked" && !isOutOfDate(sgx) && module === "OutOfDate";
  if (!onlyModuleIsOld || tdx === "Revoked" || !isOutOfDate(tdx)) return undefined;
  if (report.teeTcbSvn2 === undefined || !runsNewestModule(info, report.teeTcbSvn2)) return undefined;
  return needsConfiguration(sgx) || needsConfiguration(tdx) ? "RelaunchAdvisedConfigurationNeeded" : "RelaunchAdvised";
}

function runsNewestModule(info: TcbInfo, teeTcbSvn2: Uint8Array): boolean {
  const { isvSvn, version, loaderSvn } = moduleSvn(teeTcbSvn2);
  const newest = info.levels[0]?.tdxComponents;
  const newestLoaderSvn = newest?.[2];
  if (newest === undefined || newestLoaderSvn === undefined) return false;
  const newestIsvSvn = version > 0 ? newestModuleSvn(info, version) : newest[0];
  return newestIsvSvn !== undefined && isvSvn >= newestIsvSvn && loaderSvn >= newestLoaderSvn;
}

function newestModuleSvn(info: TcbInfo, version: number): number | undefined {
  const identity = findModuleIdentity(info, version);
  if (identity === undefined) throw refusal("TDX_MODULE_UNKNOWN");
  return identity.levels[0]?.isvSvn;
}
