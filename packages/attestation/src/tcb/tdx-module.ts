import { equalBytes, isZero } from "@cloister/encoding";
import type { TdxClaims } from "../appraisal/claims.ts";
import type { IsvLevel, TcbInfo, TdxModule, TdxModuleIdentity } from "../documents/tcb-info.ts";
import { refusal } from "../errors.ts";

/** TEE_TCB_SVN or TEE_TCB_SVN_2: the module's SVN, its version, and the SEAM loader's SVN (dcap.md C.5, step 11). */
export interface ModuleSvn {
  readonly isvSvn: number;
  readonly version: number;
  readonly loaderSvn: number;
}

export function moduleSvn(teeTcbSvn: Uint8Array): ModuleSvn {
  const [isvSvn = 0, version = 0, loaderSvn = 0] = teeTcbSvn;
  return { isvSvn, version, loaderSvn };
}

/**
 * Checks signer and attributes of the TDX module. Returns its own identity, which modules of version 1 and up must have.
 * Throws `AttestationError` with a TDX_MODULE_ code.
 */
export function checkTdxModule(info: TcbInfo, report: TdxClaims): TdxModuleIdentity | undefined {
  const { version } = moduleSvn(report.teeTcbSvn);
  const identity = version > 0 ? findModuleIdentity(info, version) : undefined;
  const expected: TdxModule | undefined = version > 0 ? identity : info.tdxModule;
  if (expected === undefined) throw refusal("TDX_MODULE_UNKNOWN");
  if (!equalBytes(report.mrSignerSeam, expected.mrSigner)) throw refusal("TDX_MODULE_SIGNER_MISMATCH");
  const asExpected = report.seamAttributes.every((byte, index) => {
    return (byte & (expected.attributesMask[index] ?? 0xff)) === (expected.attributes[index] ?? 0);
  });
  if (!asExpected || !isZero(report.seamAttributes)) throw refusal("TDX_MODULE_ATTRIBUTES_MISMATCH");
  return identity;
}

/** The level of a module with an identity. Throws `AttestationError` TDX_MODULE_TCB_NOT_SUPPORTED below the last. */
export function moduleLevel(identity: TdxModuleIdentity, report: TdxClaims): IsvLevel {
  const { isvSvn } = moduleSvn(report.teeTcbSvn);
  const level = identity.levels.find((candidate) => candidate.isvSvn <= isvSvn);
  if (level === undefined) throw refusal("TDX_MODULE_TCB_NOT_SUPPORTED");
  return level;
}

export function findModuleIdentity(info: TcbInfo, version: number): TdxModuleIdentity | undefined {
  return info.tdxModuleIdentities.find((identity) => identity.version === version);
}
