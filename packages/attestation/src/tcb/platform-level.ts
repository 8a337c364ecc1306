import type { PlatformTcb } from "../chain/pck-extension.ts";
import type { TcbInfo, TcbLevel } from "../documents/tcb-info.ts";

/** The first level that the machine's PCK certificate reaches: every component and the PCE SVN (dcap.md C.5, step 12). */
export function sgxLevel(info: TcbInfo, platform: PlatformTcb): TcbLevel | undefined {
  return info.levels.find((level) => reachesSgx(platform, level));
}

/** As `sgxLevel`, and the TDX components too. */
export function tdxLevel(info: TcbInfo, platform: PlatformTcb, teeTcbSvn: Uint8Array): TcbLevel | undefined {
  return info.levels.find((level) => reachesSgx(platform, level) && reachesTdx(teeTcbSvn, level));
}

function reachesSgx({ components, pceSvn }: PlatformTcb, level: TcbLevel): boolean {
  return reaches(components, level.sgxComponents, 0) && pceSvn >= level.pceSvn;
}

/** Bytes 0 and 1 are the module's SVN and version. A module of version 1 and up has TCB levels of its own instead. */
function reachesTdx(teeTcbSvn: Uint8Array, level: TcbLevel): boolean {
  if (level.tdxComponents === undefined) return false;
  return reaches([...teeTcbSvn], level.tdxComponents, (teeTcbSvn[1] ?? 0) > 0 ? 2 : 0);
}

function reaches(have: readonly number[], needed: readonly number[], from: number): boolean {
  return needed.every((svn, index) => index < from || (have[index] ?? -1) >= svn);
}
