import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { outcomeOf } from "../rim/testing/dcap-bundle.ts";
import { ByteReader } from "./byte-reader.ts";
import { isDebugEnclave, parseSgxReport, SGX_REPORT_BYTES } from "./sgx-report.ts";
import { isDebugTd, parseTdReport, TD_REPORT_BYTES, type TdReport } from "./td-report.ts";

const VERSIONS = Object.keys(TD_REPORT_BYTES) as TdReport["reportVersion"][];
/** Every byte is the low byte of its own offset. */
const numbered = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => index & 0xff);
/** Whether the field is the bytes from `offset` on. */
const isAt = (field: Uint8Array, offset: number): boolean =>
  field.every((byte, index) => byte === ((offset + index) & 0xff));

test("the fields of an SGX report stand at the offsets of the specification", () => {
  const report = parseSgxReport(numbered(SGX_REPORT_BYTES));
  const fields: readonly [Uint8Array, number, number][] = [
    [report.cpuSvn, 0, 16],
    [report.miscSelectBytes, 16, 4],
    [report.isvExtProdId, 32, 16],
    [report.attributes, 48, 16],
    [report.mrenclave, 64, 32],
    [report.mrsigner, 128, 32],
    [report.configId, 192, 64],
    [report.isvFamilyId, 304, 16],
    [report.reportData, 320, 64],
  ];
  for (const [field, offset, length] of fields) {
    assert.equal(field.length, length);
    assert.ok(isAt(field, offset), String(offset));
  }
  assert.deepEqual([report.isvProdId, report.isvSvn, report.configSvn], [0x0100, 0x0302, 0x0504]);
  assert.equal(report.miscSelect, 0x13121110);
});

test("the fields of a TD report stand at the offsets of the specification", () => {
  const report = parseTdReport(numbered(TD_REPORT_BYTES["1.5-extended"]), "1.5-extended");
  const fields: readonly [Uint8Array | undefined, number, number][] = [
    [report.teeTcbSvn, 0, 16],
    [report.mrSeam, 16, 48],
    [report.mrSignerSeam, 64, 48],
    [report.seamAttributes, 112, 8],
    [report.tdAttributes, 120, 8],
    [report.xfam, 128, 8],
    [report.mrTd, 136, 48],
    [report.mrConfigId, 184, 48],
    [report.mrOwner, 232, 48],
    [report.mrOwnerConfig, 280, 48],
    ...report.rtmrs.map((rtmr, index): [Uint8Array, number, number] => [rtmr, 328 + 48 * index, 48]),
    [report.reportData, 520, 64],
    [report.teeTcbSvn2, 584, 16],
    [report.mrServiceTd, 600, 48],
    [report.extension, 648, 237],
  ];
  for (const [field, offset, length] of fields) {
    assert.equal(field?.length, length, String(offset));
    assert.ok(isAt(field, offset), String(offset));
  }
});

test("a report that is one byte short or long is refused", () => {
  for (const change of [-1, 1]) {
    assert.equal(
      outcomeOf(() => parseSgxReport(new Uint8Array(SGX_REPORT_BYTES + change))),
      "QUOTE_MALFORMED",
    );
    for (const version of VERSIONS) {
      assert.equal(
        outcomeOf(() => parseTdReport(new Uint8Array(TD_REPORT_BYTES[version] + change), version)),
        "QUOTE_MALFORMED",
      );
    }
  }
});

test("only the later TD reports have the later fields", () => {
  const later = VERSIONS.map((version) => {
    const { teeTcbSvn2, extension } = parseTdReport(new Uint8Array(TD_REPORT_BYTES[version]), version);
    return [teeTcbSvn2?.length, extension?.length];
  });
  assert.deepEqual(later, [
    [undefined, undefined],
    [16, undefined],
    [16, 237],
  ]);
});

test("debug is one bit, and attributes that are not there count as debug", () => {
  const sgx = parseSgxReport(new Uint8Array(SGX_REPORT_BYTES));
  const td = parseTdReport(new Uint8Array(TD_REPORT_BYTES["1.0"]), "1.0");
  for (let bits = 0; bits < 256; bits += 1) {
    assert.equal(isDebugEnclave({ ...sgx, attributes: new Uint8Array(16).fill(bits, 0, 1) }), (bits & 2) !== 0);
    assert.equal(isDebugTd({ ...td, tdAttributes: new Uint8Array(8).fill(bits, 0, 1) }), (bits & 1) !== 0);
  }
  assert.ok(isDebugEnclave({ ...sgx, attributes: new Uint8Array() }));
  assert.ok(isDebugTd({ ...td, tdAttributes: new Uint8Array() }));
});

test("a reader gives little-endian numbers, and refuses what is not there", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 9 }), (bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      const short = outcomeOf(() => assert.equal(new ByteReader(bytes).uint16(), view.getUint16(0, true)));
      assert.equal(short, bytes.length < 2 ? "QUOTE_MALFORMED" : "accepted");
      const long = outcomeOf(() => assert.equal(new ByteReader(bytes).uint32(), view.getUint32(0, true)));
      assert.equal(long, bytes.length < 4 ? "QUOTE_MALFORMED" : "accepted");
      const whole = new ByteReader(bytes);
      whole.skip(bytes.length);
      whole.end();
      assert.deepEqual([whole.offset, whole.remaining], [bytes.length, 0]);
      const rest = outcomeOf(() => new ByteReader(bytes).end());
      assert.equal(rest, bytes.length > 0 ? "QUOTE_MALFORMED" : "accepted");
    }),
  );
});
