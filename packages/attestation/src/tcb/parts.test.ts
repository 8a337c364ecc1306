import assert from "node:assert/strict";
import { test } from "node:test";
import type { QeIdentity } from "../documents/qe-identity.ts";
import type { IsvLevel, TcbInfo, TcbLevel } from "../documents/tcb-info.ts";
import { parseSgxReport, SGX_REPORT_BYTES, type SgxReport } from "../quote/sgx-report.ts";
import { parseTdReport, TD_REPORT_BYTES } from "../quote/td-report.ts";
import { outcomeOf } from "../rim/testing/dcap-bundle.ts";
import { sgxLevel, tdxLevel } from "./platform-level.ts";
import { checkQeIdentity } from "./quoting-enclave.ts";
import { relaunchStatus } from "./relaunch.ts";
import { checkTdxModule } from "./tdx-module.ts";

// Groups D.6 and D.12 of the test plan on each rule alone.

const DATE = new Date("2026-01-01T00:00:00Z");
const VALIDITY = { from: DATE, until: DATE };
const isv = (isvSvn: number): IsvLevel => ({ isvSvn, status: "UpToDate", date: DATE, advisoryIds: [] });
const bytes = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

const IDENTITY: QeIdentity = {
  validity: VALIDITY,
  evaluationDataNumber: 1,
  id: "QE",
  miscSelect: bytes(4, 0x02),
  miscSelectMask: bytes(4, 0x0f),
  attributes: bytes(16, 0x11),
  attributesMask: bytes(16, 0xfd),
  mrSigner: bytes(32, 0x8c),
  isvProdId: 1,
  levels: [isv(8), isv(5)],
};
const QE: SgxReport = {
  ...parseSgxReport(bytes(SGX_REPORT_BYTES, 0)),
  miscSelectBytes: bytes(4, 0xf2),
  attributes: bytes(16, 0x13),
  mrsigner: bytes(32, 0x8c),
  isvProdId: 1,
  isvSvn: 9,
};

test("a quoting enclave takes the first level it reaches, and bits outside the masks do not count", () => {
  assert.equal(checkQeIdentity(QE, IDENTITY).isvSvn, 8);
  assert.equal(checkQeIdentity({ ...QE, isvSvn: 8 }, IDENTITY).isvSvn, 8);
  assert.equal(checkQeIdentity({ ...QE, isvSvn: 7 }, IDENTITY).isvSvn, 5);
});

const strangers: readonly [string, Partial<SgxReport>, string][] = [
  ["MISCSELECT", { miscSelectBytes: Uint8Array.of(0xf2, 0xf2, 0xf2, 0xf3) }, "QE_MISCSELECT_MISMATCH"],
  ["ATTRIBUTES", { attributes: bytes(16, 0x13).with(15, 0x33) }, "QE_ATTRIBUTES_MISMATCH"],
  ["MRSIGNER", { mrsigner: bytes(32, 0x8c).with(31, 0) }, "QE_MRSIGNER_MISMATCH"],
  ["ISVPRODID", { isvProdId: 2 }, "QE_ISVPRODID_MISMATCH"],
  ["ISVSVN below every level", { isvSvn: 4 }, "QE_TCB_NOT_SUPPORTED"],
];

for (const [title, change, code] of strangers) {
  test(`a quoting enclave is refused: ${title}`, () => {
    assert.equal(
      outcomeOf(() => checkQeIdentity({ ...QE, ...change }, IDENTITY)),
      code,
    );
  });
}

test("a mask that is too short compares the rest in full", () => {
  const identity = { ...IDENTITY, miscSelectMask: bytes(2, 0x0f) };
  assert.equal(
    outcomeOf(() => checkQeIdentity(QE, identity)),
    "QE_MISCSELECT_MISMATCH",
  );
});

const LEVEL: TcbLevel = {
  sgxComponents: Array.from({ length: 16 }, () => 3),
  tdxComponents: Array.from({ length: 16 }, () => 3),
  pceSvn: 3,
  status: "UpToDate",
  date: DATE,
  advisoryIds: [],
};
const MODULE = { mrSigner: bytes(48, 0x0a), attributes: bytes(8, 0), attributesMask: bytes(8, 0xff) };
const infoOf = (...levels: readonly TcbLevel[]): TcbInfo => ({
  validity: VALIDITY,
  evaluationDataNumber: 1,
  tee: "tdx",
  fmspc: bytes(6, 0),
  pceId: bytes(2, 0),
  levels,
  tdxModule: MODULE,
  tdxModuleIdentities: [],
});
const platform = (components: readonly number[], pceSvn = 3) => ({ components, pceSvn, cpuSvn: bytes(16, 9) });
const THREES = LEVEL.sgxComponents;

test("one low component, or a low PCE SVN, keeps a platform below a level", () => {
  assert.equal(sgxLevel(infoOf(LEVEL), platform(THREES)), LEVEL);
  for (let index = 0; index < 16; index += 1) {
    assert.equal(sgxLevel(infoOf(LEVEL), platform(Array.from({ length: 16 }, () => 9).with(index, 2))), undefined);
  }
  assert.equal(sgxLevel(infoOf(LEVEL), platform(THREES, 2)), undefined);
  assert.equal(sgxLevel(infoOf(LEVEL), platform(THREES.slice(1))), undefined);
});

test("the module's two bytes count for modules of version 0 only", () => {
  const svns = (...first: readonly number[]): Uint8Array => Uint8Array.from([...first, ...THREES.slice(2)]);
  for (const [first, reached] of [
    [[3, 3], true],
    [[0, 1], true],
    [[0, 0], false],
    [[9, 0], false],
  ] as const) {
    assert.equal(tdxLevel(infoOf(LEVEL), platform(THREES), svns(...first)) !== undefined, reached, String(first));
  }
  assert.equal(tdxLevel(infoOf(LEVEL), platform(THREES), Uint8Array.from(THREES).with(2, 2)), undefined);
  assert.equal(tdxLevel(infoOf(LEVEL), platform(THREES), new Uint8Array()), undefined);
});

test("a level without TDX components is no level of a trust domain", () => {
  const { tdxComponents: _none, ...level } = LEVEL;
  assert.equal(tdxLevel(infoOf(level), platform(THREES), Uint8Array.from(THREES)), undefined);
});

const TD = { ...parseTdReport(new Uint8Array(TD_REPORT_BYTES["1.5"]), "1.5"), mrSignerSeam: bytes(48, 0x0a) };

test("the TDX module is the one that the TCB info names, with attributes of zero", () => {
  assert.equal(checkTdxModule(infoOf(LEVEL), TD), undefined);
  const attributes = (seamAttributes: Uint8Array, module: Partial<typeof MODULE> = {}) => {
    const info = { ...infoOf(LEVEL), tdxModule: { ...MODULE, ...module } };
    return outcomeOf(() => checkTdxModule(info, { ...TD, seamAttributes }));
  };
  assert.equal(attributes(bytes(8, 0), { attributesMask: bytes(0, 0), attributes: bytes(0, 0) }), "accepted");
  assert.equal(attributes(bytes(8, 0), { attributes: bytes(8, 1) }), "TDX_MODULE_ATTRIBUTES_MISMATCH");
  // Bits outside of the mask must be zero all the same.
  assert.equal(attributes(bytes(8, 1), { attributesMask: bytes(8, 0) }), "TDX_MODULE_ATTRIBUTES_MISMATCH");
  assert.equal(attributes(bytes(8, 1), { attributes: bytes(8, 1) }), "TDX_MODULE_ATTRIBUTES_MISMATCH");
});

test("a TDX module of another signer, or of none that is known, is refused", () => {
  const { tdxModule: _none, ...info } = infoOf(LEVEL);
  const version1 = { ...TD, teeTcbSvn: bytes(16, 0).with(1, 1) };
  for (const [code, check] of [
    ["TDX_MODULE_SIGNER_MISMATCH", () => checkTdxModule(infoOf(LEVEL), { ...TD, mrSignerSeam: bytes(48, 0) })],
    ["TDX_MODULE_UNKNOWN", () => checkTdxModule(info, TD)],
    ["TDX_MODULE_UNKNOWN", () => checkTdxModule(infoOf(LEVEL), version1)],
  ] as const) {
    assert.equal(outcomeOf(check), code);
  }
});

test("no relaunch is advised where nobody knows the newest module", () => {
  const old = { sgx: "UpToDate", tdx: "OutOfDate", module: "OutOfDate", qe: "UpToDate" } as const;
  const { tdxComponents: _none, ...plain } = LEVEL;
  const td = { ...TD, teeTcbSvn2: bytes(16, 9).with(1, 0) };
  assert.equal(relaunchStatus(infoOf(LEVEL), td, old), "RelaunchAdvised");
  assert.equal(relaunchStatus(infoOf(plain), td, old), undefined);
  assert.equal(relaunchStatus(infoOf({ ...LEVEL, tdxComponents: [3] }), td, old), undefined);
  assert.equal(relaunchStatus(infoOf(), td, old), undefined);
});
