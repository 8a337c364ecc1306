import type { CollateralTcbStatus } from "../appraisal/claims.ts";

/** TCB statuses that a simulated platform can be put at (specs of Intel's TCB info v3, tcbStatus). */
export type SimulatedTcbLevel = CollateralTcbStatus;

/** State of the quoting enclave (or TD quoting enclave) by its ISV SVN. */
export type SimulatedQeLevel = "UpToDate" | "OutOfDate" | "Revoked";

interface Level<Status> {
  readonly status: Status;
  readonly svn: number;
  readonly ageDays: number;
  readonly advisoryIds: readonly string[];
}

/** Descending, as TCB info lists them. `svn` is the first of the 16 component SVNs; the others are the same everywhere. */
export const PLATFORM_LEVELS: readonly Level<SimulatedTcbLevel>[] = [
  { status: "UpToDate", svn: 7, ageDays: 90, advisoryIds: [] },
  { status: "SWHardeningNeeded", svn: 6, ageDays: 90, advisoryIds: ["SIMULATED-SA-00001"] },
  { status: "ConfigurationNeeded", svn: 5, ageDays: 90, advisoryIds: ["SIMULATED-SA-00002"] },
  {
    status: "ConfigurationAndSWHardeningNeeded",
    svn: 4,
    ageDays: 90,
    advisoryIds: ["SIMULATED-SA-00001", "SIMULATED-SA-00002"],
  },
  { status: "OutOfDate", svn: 3, ageDays: 400, advisoryIds: ["SIMULATED-SA-00003"] },
  {
    status: "OutOfDateConfigurationNeeded",
    svn: 2,
    ageDays: 800,
    advisoryIds: ["SIMULATED-SA-00002", "SIMULATED-SA-00003"],
  },
  { status: "Revoked", svn: 1, ageDays: 1200, advisoryIds: ["SIMULATED-SA-00004"] },
];

/** Descending. `svn` is the enclave's ISV SVN. */
export const QE_LEVELS: readonly Level<SimulatedQeLevel>[] = [
  { status: "UpToDate", svn: 8, ageDays: 90, advisoryIds: [] },
  { status: "OutOfDate", svn: 6, ageDays: 400, advisoryIds: ["SIMULATED-SA-00005"] },
  { status: "Revoked", svn: 4, ageDays: 1200, advisoryIds: ["SIMULATED-SA-00006"] },
];

export const PCE_SVN = 13;

/** The 16 component SVNs of a platform at the level; also its CPUSVN. */
export function componentSvns(level: SimulatedTcbLevel): Uint8Array {
  return Uint8Array.of(platformSvn(level), 9, 3, 3, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}

export function qeIsvSvn(level: SimulatedQeLevel): number {
  return QE_LEVELS.find(({ status }) => status === level)?.svn ?? 0;
}

function platformSvn(level: SimulatedTcbLevel): number {
  return PLATFORM_LEVELS.find(({ status }) => status === level)?.svn ?? 0;
}
