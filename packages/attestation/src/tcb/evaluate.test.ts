import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import type { PckExtension } from "../chain/pck-extension.ts";
import type { CollateralTcbStatus, TdxClaims } from "../appraisal/claims.ts";
import type { IsvLevel, PartStatus, TcbInfo, TcbLevel } from "../documents/tcb-info.ts";
import { parseTdReport, TD_REPORT_BYTES, type TdReport } from "../quote/td-report.ts";
import { outcomeOf } from "../rim/testing/dcap-bundle.ts";
import { evaluateSgx, evaluateTdx } from "./evaluate.ts";
import { sgxLevel } from "./platform-level.ts";

const DATE = new Date("2026-01-01T00:00:00Z");
const OLDER = new Date("2024-01-01T00:00:00Z");
const NEWEST = 5;

const isv = (isvSvn: number, status: PartStatus, id = "QE-1"): IsvLevel => {
  return { isvSvn, status, date: DATE, advisoryIds: [id] };
};

const level = (svn: number, status: CollateralTcbStatus, date = DATE): TcbLevel => {
  const sgxComponents = Array.from({ length: 16 }, () => svn);
  return {
    sgxComponents,
    // Component 1 of TDX is the version of the module.
    tdxComponents: sgxComponents.with(1, 0),
    pceSvn: svn,
    status,
    date,
    advisoryIds: ["PLATFORM-1"],
  };
};

const MODULE = {
  mrSigner: new Uint8Array(48),
  attributes: new Uint8Array(8),
  attributesMask: new Uint8Array(8).fill(255),
};

const info = (levels: readonly TcbLevel[], more: Partial<TcbInfo> = {}): TcbInfo => ({
  validity: { from: OLDER, until: DATE },
  evaluationDataNumber: 1,
  tee: "tdx",
  fmspc: new Uint8Array(6),
  pceId: new Uint8Array(2),
  levels,
  tdxModule: MODULE,
  tdxModuleIdentities: [{ version: 1, ...MODULE, levels: [isv(7, "UpToDate", "M-1"), isv(3, "OutOfDate", "M-2")] }],
  ...more,
});

const pck = (svn: number): PckExtension => ({
  ppid: new Uint8Array(16),
  tcb: { components: Array.from({ length: 16 }, () => svn), pceSvn: svn, cpuSvn: new Uint8Array(16) },
  pceId: new Uint8Array(2),
  fmspc: new Uint8Array(6),
  sgxType: "standard",
});

const LEVELS = [level(NEWEST, "UpToDate"), level(2, "OutOfDate", OLDER)];
const QE = isv(8, "UpToDate");

/** A report whose 16 SVN bytes are `svn` but for the module's SVN and version and the loader's SVN. */
function report(module: readonly [number, number, number], later?: readonly [number, number, number]): TdxClaims {
  const svns = (first: readonly number[]): number[] => [...first, ...Array.from({ length: 13 }, () => NEWEST)];
  const version: TdReport["reportVersion"] = later === undefined ? "1.0" : "1.5";
  const raw = new Uint8Array(TD_REPORT_BYTES[version]);
  raw.set(svns(module), 0);
  if (later !== undefined) raw.set(svns(later), 584);
  return parseTdReport(raw, version);
}

test("an SGX platform takes the first level it reaches, with advisories and the lower date of both parts", () => {
  const verdict = evaluateSgx(info(LEVELS), pck(3), isv(6, "OutOfDate"));
  assert.equal(verdict.status, "OutOfDate");
  assert.deepEqual(verdict.advisoryIds, ["PLATFORM-1", "QE-1"]);
  assert.equal(verdict.tcbDate.getTime(), OLDER.getTime());
});

test("an SGX platform below every level, or at a revoked one, is refused", () => {
  assert.equal(
    outcomeOf(() => evaluateSgx(info(LEVELS), pck(1), QE)),
    "TCB_NOT_SUPPORTED",
  );
  assert.equal(
    outcomeOf(() => evaluateSgx(info([level(1, "Revoked")]), pck(1), QE)),
    "TCB_REVOKED",
  );
  assert.equal(
    outcomeOf(() => evaluateSgx(info(LEVELS), pck(9), isv(1, "Revoked"))),
    "TCB_REVOKED",
  );
});

test("raising an SVN never gives an older level", () => {
  const svns = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 17, maxLength: 17 });
  fc.assert(
    fc.property(svns, fc.nat(16), (values, raised) => {
      const platform = (svn: readonly number[]) => ({
        components: svn.slice(0, 16),
        pceSvn: svn[16] ?? 0,
        cpuSvn: new Uint8Array(16),
      });
      const index = (svn: readonly number[]): number => {
        const found = sgxLevel(info(LEVELS), platform(svn));
        return found === undefined ? LEVELS.length : LEVELS.indexOf(found);
      };
      assert.ok(index(values.map((svn, at) => (at === raised ? svn + 1 : svn))) <= index(values));
      assert.equal(
        index(values) === 0,
        values.every((svn) => svn >= NEWEST),
      );
    }),
  );
});

test("a module of version 0 is compared by the level, one of version 1 by its own levels", () => {
  const old = evaluateTdx(info(LEVELS), pck(NEWEST), QE, report([4, 0, NEWEST]));
  assert.equal(old.status, "OutOfDate");
  assert.equal(old.tdxModuleStatus, undefined);
  const current = evaluateTdx(info(LEVELS), pck(NEWEST), QE, report([7, 1, NEWEST]));
  assert.equal(current.status, "UpToDate");
  assert.equal(current.tdxModuleStatus, "UpToDate");
  assert.deepEqual(current.advisoryIds, ["M-1", "PLATFORM-1", "QE-1"]);
});

test("a module is refused by unknown version, signer, attributes and SVN", () => {
  const run = (more: Partial<TcbInfo>, module: readonly [number, number, number]) => () => {
    return evaluateTdx(info(LEVELS, more), pck(NEWEST), QE, report(module));
  };
  const other = { ...MODULE, mrSigner: new Uint8Array(48).fill(1) };
  const attributes = { ...MODULE, attributes: new Uint8Array(8).fill(1) };
  assert.equal(outcomeOf(run({}, [7, 2, NEWEST])), "TDX_MODULE_UNKNOWN");
  assert.equal(outcomeOf(run({ tdxModule: other }, [7, 0, NEWEST])), "TDX_MODULE_SIGNER_MISMATCH");
  assert.equal(outcomeOf(run({ tdxModule: attributes }, [7, 0, NEWEST])), "TDX_MODULE_ATTRIBUTES_MISMATCH");
  assert.equal(outcomeOf(run({}, [2, 1, NEWEST])), "TDX_MODULE_TCB_NOT_SUPPORTED");
});

test("SEAM attributes must be zero even where the mask hides them", () => {
  const unmasked = { ...MODULE, attributesMask: new Uint8Array(8) };
  const raw = { ...report([7, 0, NEWEST]), seamAttributes: new Uint8Array(8).fill(1) };
  const call = () => evaluateTdx(info(LEVELS, { tdxModule: unmasked }), pck(NEWEST), QE, raw);
  assert.equal(outcomeOf(call), "TDX_MODULE_ATTRIBUTES_MISMATCH");
});

const relaunch: readonly [string, () => unknown, string][] = [
  ["the module alone is old and the newest runs now", () => relaunched({}), "RelaunchAdvised"],
  [
    "the level needs configuration",
    () => relaunched({ status: "ConfigurationNeeded" }),
    "RelaunchAdvisedConfigurationNeeded",
  ],
  ["the module that runs now is old too", () => relaunched({ later: [6, 1, NEWEST] }), "OutOfDate"],
  ["the loader that runs now is old", () => relaunched({ later: [7, 1, 4] }), "OutOfDate"],
  ["the quoting enclave is old", () => relaunched({ qe: isv(6, "OutOfDate") }), "OutOfDate"],
  ["the machine's microcode is old", () => relaunched({ platform: 3 }), "OutOfDate"],
  ["the report is of TDX 1.0", () => relaunched({ later: undefined }), "OutOfDate"],
  [
    "a module of version 0 runs now and is the newest",
    () => relaunched({ later: [NEWEST, 0, NEWEST] }),
    "RelaunchAdvised",
  ],
];

interface Relaunch {
  readonly status?: CollateralTcbStatus;
  readonly later?: readonly [number, number, number] | undefined;
  readonly qe?: IsvLevel;
  readonly platform?: number;
}

function relaunched(change: Relaunch): string {
  const later = "later" in change ? change.later : ([7, 1, NEWEST] as const);
  const levels = [level(NEWEST, change.status ?? "UpToDate"), level(2, "OutOfDate")];
  const { status } = evaluateTdx(
    info(levels),
    pck(change.platform ?? NEWEST),
    change.qe ?? QE,
    report([3, 1, NEWEST], later),
  );
  return status;
}

for (const [title, call, status] of relaunch) {
  test(`relaunch: ${title}: ${status}`, () => {
    assert.equal(call(), status);
  });
}

test("relaunch: a module without an identity runs now: refused", () => {
  assert.equal(
    outcomeOf(() => relaunched({ later: [7, 9, NEWEST] })),
    "TDX_MODULE_UNKNOWN",
  );
});
