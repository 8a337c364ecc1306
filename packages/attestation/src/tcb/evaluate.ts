import type { PckExtension } from "../chain/pck-extension.ts";
import type { CollateralTcbStatus, TcbClaims, TcbStatus, TdxClaims } from "../appraisal/claims.ts";
import type { IsvLevel, LevelVerdict, TcbInfo, TcbLevel } from "../documents/tcb-info.ts";
import { refusal } from "../errors.ts";
import { mergeStatus } from "./merge.ts";
import { sgxLevel, tdxLevel } from "./platform-level.ts";
import { relaunchStatus } from "./relaunch.ts";
import { checkTdxModule, moduleLevel } from "./tdx-module.ts";

/** The merged verdict without the evaluation number, which belongs to the documents. */
export type TcbEvaluation = Omit<TcbClaims, "evaluationDataNumber">;

/** TCB of an SGX platform (dcap.md C.5, steps 12 and 13). Throws `AttestationError` TCB_NOT_SUPPORTED or TCB_REVOKED. */
export function evaluateSgx(info: TcbInfo, pck: PckExtension, qe: IsvLevel): TcbEvaluation {
  const level = required(sgxLevel(info, pck.tcb));
  const status = unrevoked(mergeStatus(level.status, qe.status));
  return summary(status, level, qe);
}

/**
 * TCB of a TDX platform (dcap.md C.5, steps 11 to 13). Throws `AttestationError` with a TDX_MODULE_ code, TCB_NOT_SUPPORTED
 * or TCB_REVOKED.
 */
export function evaluateTdx(info: TcbInfo, pck: PckExtension, qe: IsvLevel, report: TdxClaims): TcbEvaluation {
  const identity = checkTdxModule(info, report);
  const sgx = required(sgxLevel(info, pck.tcb));
  const level = required(tdxLevel(info, pck.tcb, report.teeTcbSvn));
  const module = identity && moduleLevel(identity, report);
  const tdx = mergeStatus(level.status, module?.status ?? "UpToDate");
  const revoked = [sgx.status, tdx, qe.status].includes("Revoked");
  if (revoked) throw refusal("TCB_REVOKED");
  const advice = relaunchStatus(info, report, { sgx: sgx.status, tdx, module: module?.status, qe: qe.status });
  const status = unrevoked(mergeStatus(advice ?? tdx, qe.status));
  return summary(status, level, qe, module);
}

function summary(status: TcbStatus, level: TcbLevel, qe: IsvLevel, module?: IsvLevel): TcbEvaluation {
  const parts: LevelVerdict[] = [level, qe, ...(module ? [module] : [])];
  return {
    status,
    platformStatus: level.status,
    qeStatus: qe.status,
    ...(module && { tdxModuleStatus: module.status }),
    advisoryIds: [...new Set(parts.flatMap(({ advisoryIds }) => advisoryIds))].sort(),
    tcbDate: new Date(Math.min(...parts.map(({ date }) => date.getTime()))),
  };
}

function required(level: TcbLevel | undefined): TcbLevel {
  if (level === undefined) throw refusal("TCB_NOT_SUPPORTED");
  return level;
}

function unrevoked(status: CollateralTcbStatus | TcbStatus): TcbStatus {
  if (status === "Revoked") throw refusal("TCB_REVOKED");
  return status;
}
