import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { fromUtf8, utf8 } from "@cloister/encoding";
import type { JsonObject } from "@cloister/encoding/canonical-json";
import { FieldError, Fields } from "./fields.ts";
import { readQeIdentity } from "./qe-identity.ts";
import { readTcbInfo } from "./tcb-info.ts";
import { valueRange } from "./value-range.ts";

const DATES = { issueDate: "2026-01-01T00:00:00Z", nextUpdate: "2026-02-01T00:00:00Z", tcbEvaluationDataNumber: 20 };
const components = (svn: number) => Array.from({ length: 16 }, () => ({ svn }));
const VERDICT = { tcbDate: "2025-01-01T00:00:00Z", tcbStatus: "UpToDate" };
const level = (svn: number) => ({ tcb: { sgxtcbcomponents: components(svn), pcesvn: svn }, ...VERDICT });
const MODULE = { mrsigner: "00".repeat(48), attributes: "00".repeat(8), attributesMask: "FF".repeat(8) };
const ISV_LEVEL = { tcb: { isvsvn: 3 }, ...VERDICT };

const identity = (id: string) => ({ id, ...MODULE, tcbLevels: [ISV_LEVEL] });

const SGX: JsonObject = {
  id: "SGX",
  version: 3,
  ...DATES,
  fmspc: "00A067110000",
  pceId: "0000",
  tcbType: 0,
  tcbLevels: [level(2), level(5)],
};
const TDX: JsonObject = {
  ...SGX,
  id: "TDX",
  tcbLevels: [{ ...level(2), tcb: { ...level(2).tcb, tdxtcbcomponents: components(1) } }],
  tdxModule: MODULE,
  tdxModuleIdentities: [{ id: "TDX_0A", ...MODULE, tcbLevels: [ISV_LEVEL, { ...ISV_LEVEL, tcb: { isvsvn: 9 } }] }],
};
const QE: JsonObject = {
  id: "QE",
  version: 2,
  ...DATES,
  miscselect: "00000000",
  miscselectMask: "FFFFFFFF",
  attributes: "11".repeat(16),
  attributesMask: "FB".repeat(16),
  mrsigner: "8C".repeat(32),
  isvprodid: 1,
  tcbLevels: [ISV_LEVEL],
};

test("levels are put newest first, however they are served", () => {
  assert.deepEqual(
    readTcbInfo(new Fields(SGX)).levels.map(({ pceSvn }) => pceSvn),
    [5, 2],
  );
  const [identity] = readTcbInfo(new Fields(TDX)).tdxModuleIdentities;
  assert.equal(identity?.version, 10);
  assert.deepEqual(
    identity?.levels.map(({ isvSvn }) => isvSvn),
    [9, 3],
  );
});

test("version 2 of TCB info has flat components and no id", () => {
  const flat = Object.fromEntries(
    Array.from({ length: 16 }, (_, index) => [`sgxtcbcomp${String(index + 1).padStart(2, "0")}svn`, index]),
  );
  const { id: _id, ...rest } = SGX;
  const info = readTcbInfo(
    new Fields({ ...rest, version: 2, tcbLevels: [{ tcb: { ...flat, pcesvn: 1 }, ...VERDICT }] }),
  );
  assert.equal(info.tee, "sgx");
  assert.equal(info.levels[0]?.sgxComponents[15], 15);
});

test("members that a later version may add are no fault", () => {
  assert.equal(readTcbInfo(new Fields({ ...SGX, later: [] })).tee, "sgx");
});

const badTcbInfo: readonly [string, JsonObject][] = [
  ["version 9", { ...SGX, version: 9 }],
  ["a version as text", { ...SGX, version: "3" }],
  ["an unknown id", { ...SGX, id: "SEV" }],
  ["an unknown type", { ...SGX, tcbType: 1 }],
  ["no levels", { ...SGX, tcbLevels: [] }],
  ["levels that are no array", { ...SGX, tcbLevels: {} }],
  ["an odd FMSPC", { ...SGX, fmspc: "00A06711000" }],
  ["a short FMSPC", { ...SGX, fmspc: "00A0671100" }],
  ["no end", { ...SGX, nextUpdate: null }],
  ["an end on a day that does not exist", { ...SGX, nextUpdate: "2026-02-31T00:00:00Z" }],
  ["an end in a month that does not exist", { ...SGX, nextUpdate: "2026-13-01T00:00:00Z" }],
  ["an end at 24 o'clock", { ...SGX, nextUpdate: "2026-02-01T24:00:00Z" }],
  ["an end without a zone", { ...SGX, nextUpdate: "2026-02-01T00:00:00" }],
  ["an end in words", { ...SGX, nextUpdate: "tomorrow" }],
  [
    "15 components",
    { ...SGX, tcbLevels: [{ ...level(1), tcb: { sgxtcbcomponents: components(1).slice(1), pcesvn: 1 } }] },
  ],
  ["a component of 256", { ...SGX, tcbLevels: [level(256)] }],
  ["a component of -1", { ...SGX, tcbLevels: [level(-1)] }],
  ["a status that is a property of every object", { ...SGX, tcbLevels: [{ ...level(1), tcbStatus: "constructor" }] }],
  ["a status in other letter case", { ...SGX, tcbLevels: [{ ...level(1), tcbStatus: "uptodate" }] }],
  ["advisories that are no list", { ...SGX, tcbLevels: [{ ...level(1), advisoryIDs: "INTEL-SA-1" }] }],
  ["an advisory with a line break", { ...SGX, tcbLevels: [{ ...level(1), advisoryIDs: ["A\nB"] }] }],
  ["TDX without a module", { ...TDX, tdxModule: null }],
  ["TDX without TDX components", { ...TDX, tcbLevels: SGX["tcbLevels"] ?? null }],
  [
    "a module id of another form",
    { ...TDX, tdxModuleIdentities: [{ id: "TDX_1", ...MODULE, tcbLevels: [ISV_LEVEL] }] },
  ],
  ["a module version twice", { ...TDX, tdxModuleIdentities: [identity("TDX_0a"), identity("TDX_0A")] }],
];

for (const [title, body] of badTcbInfo) {
  test(`TCB info is refused: ${title}`, () => {
    assert.throws(() => readTcbInfo(new Fields(body)), FieldError);
  });
}

const badQeIdentity: readonly [string, JsonObject][] = [
  ["version 1", { ...QE, version: 1 }],
  ["an unknown id", { ...QE, id: "PCE" }],
  ["a mask of 3 bytes", { ...QE, miscselectMask: "FFFFFF" }],
  ["a signer of 31 bytes", { ...QE, mrsigner: "8C".repeat(31) }],
  ["a product id of 65536", { ...QE, isvprodid: 65536 }],
  ["no levels", { ...QE, tcbLevels: [] }],
  ["a status that only platforms have", { ...QE, tcbLevels: [{ ...ISV_LEVEL, tcbStatus: "ConfigurationNeeded" }] }],
];

test("a QE identity is read", () => {
  assert.equal(readQeIdentity(new Fields(QE)).levels[0]?.isvSvn, 3);
});

for (const [title, body] of badQeIdentity) {
  test(`a QE identity is refused: ${title}`, () => {
    assert.throws(() => readQeIdentity(new Fields(body)), FieldError);
  });
}

test("only an object has fields", () => {
  for (const value of [null, 1, "", [], undefined]) assert.throws(() => new Fields(value), FieldError);
});

test("the range of a value is its exact text, white space inside it and all", () => {
  const text = utf8('\n{ "a" : "}\\"{" ,\t"tcbInfo" : { "x": [ 1, "]" ] } , "b":-1,"c":null }');
  const range = (name: string): string | undefined => {
    const bytes = valueRange(text, name);
    return bytes && fromUtf8(bytes);
  };
  assert.equal(range("tcbInfo"), '{ "x": [ 1, "]" ] }');
  assert.equal(range("a"), '"}\\"{"');
  assert.equal(range("b"), "-1");
  assert.equal(range("c"), "null");
  assert.equal(range("x"), undefined);
  assert.equal(valueRange(utf8("{}"), "a"), undefined);
});

test("the range of any member of any object parses to that member", () => {
  const object = fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), fc.jsonValue());
  fc.assert(
    fc.property(object, fc.integer({ min: 0, max: 3 }), (value, indent) => {
      const text = utf8(JSON.stringify(value, undefined, indent));
      for (const [name, member] of Object.entries(value)) {
        const bytes = valueRange(text, name);
        assert.deepEqual(JSON.parse(fromUtf8(bytes ?? new Uint8Array()) ?? ""), JSON.parse(JSON.stringify(member)));
      }
    }),
  );
});
