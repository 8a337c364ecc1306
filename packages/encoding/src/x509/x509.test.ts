import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { rootCertificates } from "node:tls";
import { test } from "node:test";
import * as fc from "fast-check";
import { toHex } from "../bytes.ts";
import { EncodingError } from "../encoding-error.ts";
import {
  bitString,
  boolean,
  contextExplicit,
  generalizedTime,
  integer,
  namedBits,
  octetString,
  oid,
  printableString,
  sequence,
  set,
  utcTime,
} from "../der/writer.ts";
import { COMMON_NAME, nameAttribute, parseCertificate, parseCrl, readBasicConstraints, readKeyUsage } from "./x509.ts";

const ALGORITHM = sequence(oid("1.2.840.10045.4.3.2"));
const NAME = sequence(set(sequence(oid("2.5.4.3"), printableString("Test"))));
const VALIDITY = sequence(utcTime(new Date("2026-01-01T00:00:00Z")), generalizedTime(new Date("2051-01-01T00:00:00Z")));
const KEY = sequence(sequence(oid("1.2.840.10045.2.1")), bitString(Uint8Array.of(4)));
const BASIC = sequence(oid("2.5.29.19"), boolean(true), octetString(sequence()));

interface Parts {
  readonly version?: Uint8Array;
  readonly serial?: Uint8Array;
  readonly outerAlgorithm?: Uint8Array;
  readonly validity?: Uint8Array;
  readonly extensions?: readonly Uint8Array[];
  readonly after?: readonly Uint8Array[];
}

function certificate(parts: Parts = {}): Uint8Array {
  const tbs = sequence(
    parts.version ?? contextExplicit(0, integer(2)),
    parts.serial ?? integer(5),
    ALGORITHM,
    NAME,
    parts.validity ?? VALIDITY,
    NAME,
    KEY,
    contextExplicit(3, sequence(...(parts.extensions ?? [BASIC]))),
    ...(parts.after ?? []),
  );
  return sequence(tbs, parts.outerAlgorithm ?? ALGORITHM, bitString(Uint8Array.of(1)));
}

test("a certificate is read", () => {
  const read = parseCertificate(certificate());
  assert.equal(read.version, 3);
  assert.equal(read.serial, "05");
  assert.equal(nameAttribute(read.subject, COMMON_NAME), "Test");
  assert.equal(read.notBefore.toISOString(), "2026-01-01T00:00:00.000Z");
  assert.equal(read.notAfter.toISOString(), "2051-01-01T00:00:00.000Z");
  assert.deepEqual(
    read.extensions.map(({ oid, critical }) => [oid, critical]),
    [["2.5.29.19", true]],
  );
});

test("certificates of public authorities are read as node:crypto reads them", () => {
  let compared = 0;
  for (const pem of rootCertificates) {
    const expected = new X509Certificate(pem);
    const read = parseCertificate(new Uint8Array(expected.raw));
    assert.equal(read.serial.replace(/^0+(?=.)/, ""), expected.serialNumber.toLowerCase().replace(/^0+(?=.)/, ""));
    assert.equal(read.notAfter.getTime(), new Date(expected.validTo).getTime());
    assert.equal(toHex(read.spki), expected.publicKey.export({ type: "spki", format: "der" }).toString("hex"));
    compared += 1;
  }
  assert.ok(compared > 50);
});

const refused: readonly [string, Uint8Array][] = [
  ["bytes after it", new Uint8Array([...certificate(), 0])],
  ["the default version written out", certificate({ version: contextExplicit(0, integer(0)) })],
  ["a version above 3", certificate({ version: contextExplicit(0, integer(3)) })],
  ["extensions in version 2", certificate({ version: contextExplicit(0, integer(1)) })],
  ["a negative serial number", certificate({ serial: integer(-1) })],
  ["a serial number of 21 bytes", certificate({ serial: integer(new Uint8Array(21).fill(1)) })],
  ["another outer algorithm", certificate({ outerAlgorithm: sequence(oid("1.2.840.10045.4.3.3")) })],
  ["the same extension twice", certificate({ extensions: [BASIC, BASIC] })],
  ["an empty list of extensions", certificate({ extensions: [] })],
  [
    "the default of critical written out",
    certificate({ extensions: [sequence(oid("2.5.29.19"), boolean(false), octetString(sequence()))] }),
  ],
  ["something after the extensions", certificate({ after: [integer(1)] })],
  ["a day that does not exist", certificate({ validity: times("260230000000Z") })],
  ["an hour that does not exist", certificate({ validity: times("260228240000Z") })],
  ["a minute that does not exist", certificate({ validity: times("260228006000Z") })],
  ["a time with an offset", certificate({ validity: times("2602280000+0100") })],
  ["a time without seconds", certificate({ validity: times("2602280000Z") })],
  ["a time with letters", certificate({ validity: times("26022800000aZ") })],
];

function times(text: string): Uint8Array {
  const time = Uint8Array.of(0x17, text.length, ...Buffer.from(text));
  return sequence(time, time);
}

for (const [title, der] of refused) {
  test(`a certificate is refused: ${title}`, () => {
    assert.throws(() => parseCertificate(der), EncodingError);
  });
}

function crl(parts: { version?: number; entries?: Uint8Array; nextUpdate?: boolean } = {}): Uint8Array {
  const now = utcTime(new Date("2026-01-01T00:00:00Z"));
  const next = parts.nextUpdate === false ? [] : [now];
  const entries = parts.entries === undefined ? [] : [parts.entries];
  const tbs = sequence(integer(parts.version ?? 1), ALGORITHM, NAME, now, ...next, ...entries);
  return sequence(tbs, ALGORITHM, bitString(Uint8Array.of(1)));
}

const ENTRY = [integer(0x80n), utcTime(new Date("2026-01-01T00:00:00Z"))];

test("a revocation list gives serial numbers without the sign byte", () => {
  const reason = sequence(sequence(oid("2.5.29.21"), octetString(Uint8Array.of(10, 1, 1))));
  const read = parseCrl(
    crl({ entries: sequence(sequence(...ENTRY), sequence(integer(7), ENTRY[1] ?? ALGORITHM, reason)) }),
  );
  assert.deepEqual([...read.revokedSerials], ["80", "07"]);
  assert.equal(read.hasCriticalEntryExtension, false);
});

test("a critical extension of an entry is reported", () => {
  const critical = sequence(sequence(oid("2.5.29.29"), boolean(true), octetString(sequence())));
  const read = parseCrl(crl({ entries: sequence(sequence(...ENTRY, critical)) }));
  assert.equal(read.hasCriticalEntryExtension, true);
});

test("a revocation list without an end is read, and says so", () => {
  assert.equal(parseCrl(crl({ nextUpdate: false })).nextUpdate, undefined);
});

test("a revocation list of version 1, or with an empty list written out, is refused", () => {
  assert.throws(() => parseCrl(crl({ version: 0 })), { code: "X509_MALFORMED" });
  assert.throws(() => parseCrl(crl({ entries: sequence() })), { code: "X509_MALFORMED" });
});

test("key usage and basic constraints are read", () => {
  assert.deepEqual([...readKeyUsage(namedBits([5, 6]))], ["keyCertSign", "cRLSign"]);
  assert.deepEqual([...readKeyUsage(namedBits([0, 8]))], ["digitalSignature", "decipherOnly"]);
  assert.deepEqual(readBasicConstraints(sequence()), { isCa: false });
  assert.deepEqual(readBasicConstraints(sequence(boolean(true), integer(1))), { isCa: true, pathLength: 1 });
  assert.throws(() => readBasicConstraints(sequence(boolean(false))), { code: "X509_MALFORMED" });
  assert.throws(() => readBasicConstraints(sequence(boolean(true), integer(-1))), { code: "DER_MALFORMED" });
});

test("a changed byte gives another certificate or a typed refusal, never another error", () => {
  const der = certificate();
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = der.slice();
      changed[at] = (changed[at] ?? 0) ^ change;
      try {
        assert.notDeepEqual(parseCertificate(changed).raw, der);
      } catch (error) {
        assert.ok(error instanceof EncodingError);
      }
    }),
    { numRuns: 1000 },
  );
});
