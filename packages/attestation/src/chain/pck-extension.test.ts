import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes } from "@cloister/encoding";
import { boolean, element, enumerated, integer, octetString, oid, sequence } from "@cloister/encoding/der-writer";
import { outcomeOf } from "../rim/testing/dcap-bundle.ts";
import { readPckExtension } from "./pck-extension.ts";

// Group D.8 of the test plan on the extension alone; the vectors have the same faults inside signed certificates.

const SGX = "1.2.840.113741.1.13.1";
const item = (suffix: string, value: Uint8Array): Uint8Array => sequence(oid(`${SGX}${suffix}`), value);
const filled = (length: number): Uint8Array => octetString(new Uint8Array(length).fill(7));
const component = (index: number, svn = index): Uint8Array => item(`.2.${index}`, integer(svn));
const COMPONENTS = Array.from({ length: 16 }, (_, index) => component(index + 1));
const tcbOf = (...items: readonly Uint8Array[]): Uint8Array => item(".2", sequence(...items));
const PCE_SVN = item(".2.17", integer(11));
const CPU_SVN = item(".2.18", filled(16));
const TCB = tcbOf(...COMPONENTS, PCE_SVN, CPU_SVN);
const [PPID, PCEID, FMSPC] = [item(".1", filled(16)), item(".3", filled(2)), item(".4", filled(6))];
const TYPE = item(".5", enumerated(0));
const INSTANCE = item(".6", filled(16));
const FLAGS = [1, 2, 3].map((index) => item(`.7.${index}`, boolean(index === 1)));
const CONFIGURATION = item(".7", sequence(...FLAGS));
const FIVE = [PPID, TCB, PCEID, FMSPC, TYPE];

const read = (...items: readonly Uint8Array[]) => readRaw(sequence(...items));
const readRaw = (value: Uint8Array) => readPckExtension({ extensions: [{ oid: SGX, critical: false, value }] });

test("five items are read, and seven, in any order", () => {
  const { tcb, sgxType, flags, platformInstanceId } = read(...FIVE);
  assert.deepEqual(
    tcb.components,
    Array.from({ length: 16 }, (_, index) => index + 1),
  );
  assert.deepEqual([tcb.pceSvn, sgxType, flags, platformInstanceId], [11, "standard", undefined, undefined]);
  const seven = read(...[...FIVE, INSTANCE, CONFIGURATION].toReversed());
  assert.deepEqual(seven.flags, { dynamicPlatform: true, cachedKeys: false, smtEnabled: false });
  assert.equal(read(...FIVE.with(4, item(".5", enumerated(2)))).sgxType, "scalable-with-integrity");
});

const withTcb = (...items: readonly Uint8Array[]): readonly Uint8Array[] => FIVE.with(1, tcbOf(...items));
const changed = (index: number, value: Uint8Array): readonly Uint8Array[] => {
  return withTcb(...COMPONENTS.with(index, value), PCE_SVN, CPU_SVN);
};
const withFlags = (...items: readonly Uint8Array[]): readonly Uint8Array[] => {
  return [...FIVE, INSTANCE, item(".7", sequence(...items))];
};

const refused: readonly [string, readonly Uint8Array[]][] = [
  ["no item", []],
  ["no PPID", FIVE.slice(1)],
  ["no TCB", FIVE.toSpliced(1, 1)],
  ["a platform item in the place of the TCB", FIVE.with(1, INSTANCE)],
  ["a platform item in the place of the PPID", FIVE.with(0, INSTANCE)],
  ["a platform item in the place of the FMSPC", FIVE.with(3, INSTANCE)],
  ["a platform item in the place of the type", FIVE.with(4, INSTANCE)],
  ["FMSPC twice", FIVE.with(2, FMSPC)],
  ["six items", [...FIVE, INSTANCE]],
  ["seven items, the last two unknown", [...FIVE, item(".8", filled(1)), item(".9", filled(1))]],
  ["eight items", [...FIVE, INSTANCE, CONFIGURATION, item(".8", filled(1))]],
  ["PPID of 15 bytes", FIVE.with(0, item(".1", filled(15)))],
  ["PCEID of 3 bytes", FIVE.with(2, item(".3", filled(3)))],
  ["FMSPC of 5 bytes", FIVE.with(3, item(".4", filled(5)))],
  ["FMSPC of the wrong type", FIVE.with(3, item(".4", integer(1)))],
  ["a value of two elements", FIVE.with(3, sequence(oid(`${SGX}.4`), filled(6), filled(6)))],
  ["a TYPE that is an INTEGER", FIVE.with(4, item(".5", integer(0)))],
  ["an unknown type", FIVE.with(4, item(".5", enumerated(3)))],
  ["an identifier of another arc", FIVE.with(4, sequence(oid("1.2.840.113741.1.13.2.5"), enumerated(0)))],
  ["an identifier of one arc too many", FIVE.with(4, item(".5.1", enumerated(0)))],
  ["15 components", withTcb(...COMPONENTS.slice(1), PCE_SVN, CPU_SVN)],
  ["17 components", withTcb(...COMPONENTS, component(19), PCE_SVN, CPU_SVN)],
  ["a component twice", changed(3, component(5))],
  ["a component of 256", changed(3, component(4, 256))],
  ["a negative component", changed(3, item(".2.4", integer(-1)))],
  ["a component that is not minimal", changed(3, item(".2.4", element(0x02, Uint8Array.of(0, 4))))],
  ["component 20 in the place of component 4", changed(3, component(20))],
  ["PCESVN of 65536", withTcb(...COMPONENTS, item(".2.17", integer(65_536)), CPU_SVN)],
  ["a negative PCESVN", withTcb(...COMPONENTS, item(".2.17", integer(-1)), CPU_SVN)],
  ["no PCESVN", withTcb(...COMPONENTS, component(19), CPU_SVN)],
  ["CPUSVN of 15 bytes", withTcb(...COMPONENTS, PCE_SVN, item(".2.18", filled(15)))],
  ["no CPUSVN", withTcb(...COMPONENTS, PCE_SVN, component(19))],
  ["two configuration flags", withFlags(...FLAGS.slice(1))],
  ["an unknown configuration flag", withFlags(...FLAGS.with(2, item(".7.4", boolean(true))))],
  ["a configuration flag that is a number", withFlags(...FLAGS.with(2, item(".7.3", integer(1))))],
  ["no configuration among seven items", [...FIVE, INSTANCE, item(".8", filled(1))]],
];

for (const [title, items] of refused) {
  test(`an SGX extension is refused: ${title}`, () => {
    assert.equal(
      outcomeOf(() => read(...items)),
      "PCK_EXTENSION_MALFORMED",
    );
  });
}

test("an SGX extension is refused where its encoding is not DER, or it is not there", () => {
  const good = sequence(...FIVE);
  const indefinite = concatBytes(Uint8Array.of(0x30, 0x80), good.subarray(4), Uint8Array.of(0, 0));
  const overlong = concatBytes(Uint8Array.of(0x30, 0x83, 0), good.subarray(2));
  for (const value of [
    new Uint8Array(),
    indefinite,
    overlong,
    concatBytes(good, Uint8Array.of(0)),
    octetString(good),
  ]) {
    assert.equal(
      outcomeOf(() => readRaw(value)),
      "PCK_EXTENSION_MALFORMED",
    );
  }
  assert.equal(
    outcomeOf(() => readPckExtension({ extensions: [] })),
    "PCK_EXTENSION_MALFORMED",
  );
});
