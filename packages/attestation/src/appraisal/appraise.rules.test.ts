import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { suite, test } from "node:test";
import { concatBytes, fromHex, toHex } from "@cloister/encoding";
import { parsePem } from "@cloister/encoding/pem";
import { appraise } from "./appraise.ts";
import type { VerifiedClaims } from "./claims.ts";
import type { Collateral } from "../collateral/collateral.ts";
import { AttestationError } from "../errors.ts";
import { Workshop } from "../testing/workshop.ts";
import type { TrustAnchor } from "./trust-anchor.ts";

// The rules of dcap.md C.5 one by one, each on evidence that is right in all but this: what is changed is signed again by the
// key that ought to sign it, so that no other check can be the one that refuses. Accepted evidence gives its merged status.

const NOW = new Date("2026-03-10T12:00:00Z");
const shop = new Workshop(NOW);
const { platform } = shop;
const sgx = platform.collateral();
const tdx = platform.collateral({ tee: "tdx" });
const anchors = [platform.trustAnchor];

function result(quote: Uint8Array, collateral: Collateral, trusted: readonly TrustAnchor[] = anchors): string {
  try {
    return appraise({ quote }, collateral, trusted, NOW).tcb.status;
  } catch (error) {
    if (error instanceof AttestationError) return error.code;
    throw error;
  }
}

type Case = readonly [title: string, run: () => string, expected: string];

function rules(step: string, cases: readonly Case[]): void {
  suite(step, () => {
    for (const [title, run, expected] of cases) test(`${title}: ${expected}`, () => assert.equal(run(), expected));
  });
}

const set =
  (offset: number, ...bytes: readonly number[]) =>
  (into: Uint8Array) => {
    into.set(bytes, offset);
  };
const signed = (offset: number, ...bytes: readonly number[]): string =>
  result(shop.signed(shop.sgx, set(offset, ...bytes)), sgx);
const tcbInfo = (edit: (body: string) => string): string =>
  result(shop.sgx, { ...sgx, tcbInfo: shop.document(sgx.tcbInfo, edit) });
const qeIdentity = (edit: (body: string) => string): string =>
  result(shop.sgx, { ...sgx, qeIdentity: shop.document(sgx.qeIdentity, edit) });
const replace = (find: string | RegExp, by: string) => (body: string) => {
  const changed = body.replace(find, by);
  assert.notEqual(changed, body, "the text to replace is there");
  return changed;
};

rules("step 1: structure and header", [
  ["the evidence as it is", () => result(shop.sgx, sgx), "UpToDate"],
  ["16 KiB are read", () => result(shop.withAuthData(new Uint8Array(16_384 - shop.sgx.length + 32)), sgx), "UpToDate"],
  [
    "one byte more",
    () => result(shop.withAuthData(new Uint8Array(16_385 - shop.sgx.length + 32)), sgx),
    "QUOTE_TOO_LARGE",
  ],
  ["no authentication data", () => result(shop.withAuthData(new Uint8Array()), sgx), "UpToDate"],
  ["version 2", () => signed(0, 2, 0), "QUOTE_VERSION_UNSUPPORTED"],
  ["version 0x0103", () => signed(0, 3, 1), "QUOTE_VERSION_UNSUPPORTED"],
  ["a P-384 attestation key", () => signed(2, 3, 0), "QUOTE_KEY_TYPE_UNSUPPORTED"],
  ["a TD in version 3", () => signed(4, 0x81), "QUOTE_TEE_UNSUPPORTED"],
  ["a TEE type with a high byte", () => signed(7, 1), "QUOTE_TEE_UNSUPPORTED"],
  ["another quoting enclave's vendor, signed", () => signed(12, 0), "QUOTE_VENDOR_UNKNOWN"],
  ["other user data, signed", () => signed(28, 0x42), "UpToDate"],
]);

rules("step 2: trust anchors", [
  ["none", () => result(shop.sgx, sgx, []), "PCK_CHAIN_ROOT_NOT_TRUSTED"],
  [
    "the right one behind a stranger",
    () => result(shop.sgx, sgx, [new Workshop(NOW).platform.trustAnchor, ...anchors]),
    "UpToDate",
  ],
  [
    "a simulated root called Intel's",
    () => result(shop.sgx, sgx, [{ ...platform.trustAnchor, kind: "intel" }]),
    "ANCHOR_NOT_INTEL",
  ],
  [
    "no certificate",
    () => result(shop.sgx, sgx, [{ ...platform.trustAnchor, certificate: new Uint8Array(9) }]),
    "ANCHOR_MALFORMED",
  ],
  [
    "a certificate of a CA below the root",
    () => result(shop.sgx, sgx, [{ ...platform.trustAnchor, certificate: firstOf(sgx.pckCrlIssuerChain) }]),
    "ANCHOR_MALFORMED",
  ],
]);

function firstOf(pem: string): Uint8Array {
  return parsePem(pem, "CERTIFICATE")[0] ?? assert.fail("a chain has a first certificate");
}

rules("steps 3 and 5: revocation", [
  [
    "the leaf's serial on the root's list",
    () => result(shop.sgx, { ...sgx, rootCaCrl: shop.crl("root", [shop.pckSerial], NOW) }),
    "UpToDate",
  ],
  [
    "the leaf's serial on its CA's list",
    () => result(shop.sgx, { ...sgx, pckCrl: shop.crl("intermediate", [shop.pckSerial], NOW) }),
    "PCK_CERTIFICATE_REVOKED",
  ],
  [
    "the leaf's serial last of 300",
    () => result(shop.sgx, { ...sgx, pckCrl: shop.crl("intermediate", [...serials(299), shop.pckSerial], NOW) }),
    "PCK_CERTIFICATE_REVOKED",
  ],
  ["300 others", () => result(shop.sgx, { ...sgx, pckCrl: shop.crl("intermediate", serials(300), NOW) }), "UpToDate"],
  [
    "the list as PEM text",
    () => result(shop.sgx, { ...sgx, pckCrl: new TextEncoder().encode("-----BEGIN X509 CRL-----\n") }),
    "PCK_CRL_MALFORMED",
  ],
  ["an empty list file", () => result(shop.sgx, { ...sgx, rootCaCrl: new Uint8Array() }), "ROOT_CRL_MALFORMED"],
]);

function serials(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => Uint8Array.of(1, index >> 8, index & 0xff));
}

const leaf = (changes: Parameters<typeof shop.withLeaf>[0]): string => result(shop.withLeaf(changes), sgx);
const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey;

rules("step 4: PCK certificate", [
  ["issued anew", () => leaf({}), "UpToDate"],
  ["with the CA flag", () => leaf({ basicConstraints: { ca: true } }), "PCK_CHAIN_PROFILE"],
  ["that may sign certificates only", () => leaf({ keyUsage: ["keyCertSign"] }), "PCK_CHAIN_PROFILE"],
  ["with a P-384 key", () => leaf({ publicKey: p384 }), "PCK_CHAIN_PROFILE"],
  ["called a TCB signer", () => leaf({ subject: [["CN", "Simulated SGX TCB Signing"]] }), "PCK_CHAIN_ROLE"],
  [
    "with an unknown critical extension",
    () =>
      leaf({ extraExtensions: [shop.sgxExtension({}), { id: "1.2.3.4", critical: true, value: Uint8Array.of(5, 0) }] }),
    "PCK_CHAIN_PROFILE",
  ],
  ["without the SGX extension", () => leaf({ extraExtensions: [] }), "PCK_EXTENSION_MALFORMED"],
  [
    "with the items of a Processor CA",
    () => leaf({ extraExtensions: [shop.sgxExtension({}, "processor")] }),
    "PCK_EXTENSION_MALFORMED",
  ],
  [
    "with a PPID of 15 bytes",
    () => leaf({ extraExtensions: [shop.sgxExtension({ ppid: new Uint8Array(15) })] }),
    "PCK_EXTENSION_MALFORMED",
  ],
  [
    "with an FMSPC of 7 bytes",
    () => leaf({ extraExtensions: [shop.sgxExtension({ fmspc: new Uint8Array(7) })] }),
    "PCK_EXTENSION_MALFORMED",
  ],
  ["over since a second", () => leaf({ notAfter: new Date(NOW.getTime() - 1000) }), "PCK_CHAIN_EXPIRED"],
  ["to its last second", () => leaf({ notAfter: NOW }), "UpToDate"],
  ["from the next second", () => leaf({ notBefore: new Date(NOW.getTime() + 1000) }), "PCK_CHAIN_NOT_YET_VALID"],
]);

rules("step 6: signed documents", [
  [
    "TCB info signed by the PCK key",
    () => result(shop.sgx, { ...sgx, tcbInfo: shop.document(sgx.tcbInfo, (body) => body, shop.pckKey) }),
    "TCB_INFO_SIGNATURE_INVALID",
  ],
  ["version 4", () => tcbInfo(replace('"version":3', '"version":4')), "TCB_INFO_MALFORMED"],
  ["a version that is a string", () => tcbInfo(replace('"version":3', '"version":"3"')), "TCB_INFO_MALFORMED"],
  ["tcbType 1", () => tcbInfo(replace('"tcbType":0', '"tcbType":1')), "TCB_INFO_MALFORMED"],
  ["no id", () => tcbInfo(replace('"id":"SGX",', "")), "TCB_INFO_MALFORMED"],
  ["id in lower case", () => tcbInfo(replace('"id":"SGX"', '"id":"sgx"')), "TCB_INFO_MALFORMED"],
  [
    "an unknown status in a level that does not count",
    () => tcbInfo(replace('"tcbStatus":"Revoked"', '"tcbStatus":"Fine"')),
    "TCB_INFO_MALFORMED",
  ],
  [
    "an unknown status in the first level",
    () => tcbInfo(replace('"tcbStatus":"UpToDate"', '"tcbStatus":"uptodate"')),
    "TCB_INFO_MALFORMED",
  ],
  ["a component of 256", () => tcbInfo(replace('{"svn":7}', '{"svn":256}')), "TCB_INFO_MALFORMED"],
  ["a component of 6.5", () => tcbInfo(replace('{"svn":7}', '{"svn":6.5}')), "TCB_INFO_MALFORMED"],
  ["17 components", () => tcbInfo(replace('{"svn":7},', '{"svn":7},{"svn":0},')), "TCB_INFO_MALFORMED"],
  [
    "a date with milliseconds",
    () => tcbInfo(replace(/"nextUpdate":"([^Z]+)Z"/, '"nextUpdate":"$1.000Z"')),
    "TCB_INFO_MALFORMED",
  ],
  [
    "a date in another time zone",
    () => tcbInfo(replace(/"nextUpdate":"([^Z]+)Z"/, '"nextUpdate":"$1+00:00"')),
    "TCB_INFO_MALFORMED",
  ],
  [
    "February 30th",
    () => tcbInfo(replace(/"nextUpdate":"[^"]+"/, '"nextUpdate":"2027-02-30T00:00:00Z"')),
    "TCB_INFO_MALFORMED",
  ],
  [
    "an evaluation number below zero",
    () => tcbInfo(replace('"tcbEvaluationDataNumber":1', '"tcbEvaluationDataNumber":-1')),
    "TCB_INFO_MALFORMED",
  ],
  [
    "advisories that are no list",
    () => tcbInfo(replace(/"advisoryIDs":\["([^\]]+)"\]/, '"advisoryIDs":"$1"')),
    "TCB_INFO_MALFORMED",
  ],
  [
    "a level twice in one object",
    () => tcbInfo(replace('"pcesvn":13', '"pcesvn":0,"pcesvn":13')),
    "TCB_INFO_MALFORMED",
  ],
  ["a member that is not known", () => tcbInfo(replace('"tcbType":0', '"tcbType":0,"new":{"a":[1]}')), "UpToDate"],
  ["white space, signed", () => tcbInfo(replace('"tcbType":0', '\n "tcbType" : 0 ')), "UpToDate"],
  ["QE identity version 3", () => qeIdentity(replace('"version":2', '"version":3')), "QE_IDENTITY_MALFORMED"],
  [
    "a QE mask of 15 bytes",
    () => qeIdentity(replace(/"attributesMask":"../, '"attributesMask":"')),
    "QE_IDENTITY_MALFORMED",
  ],
  [
    "a QE product id of 65536",
    () => qeIdentity(replace('"isvprodid":1', '"isvprodid":65536')),
    "QE_IDENTITY_MALFORMED",
  ],
  ["no QE levels", () => qeIdentity(replace(/"tcbLevels":\[.*\]/, '"tcbLevels":[]')), "QE_IDENTITY_MALFORMED"],
  [
    "a QE level with a platform's status",
    () => qeIdentity(replace('"tcbStatus":"UpToDate"', '"tcbStatus":"SWHardeningNeeded"')),
    "QE_IDENTITY_MALFORMED",
  ],
]);

rules("step 7: collateral for this platform", [
  [
    "another FMSPC in the certificate",
    () => leaf({ extraExtensions: [shop.sgxExtension({ fmspc: Uint8Array.of(1, 2, 3, 4, 5, 6) })] }),
    "FMSPC_MISMATCH",
  ],
  [
    "another PCEID in the certificate",
    () => leaf({ extraExtensions: [shop.sgxExtension({ pceId: Uint8Array.of(1, 0) })] }),
    "PCEID_MISMATCH",
  ],
  [
    "another FMSPC in the TCB info",
    () => tcbInfo(replace(/"fmspc":"\w{12}"/, '"fmspc":"00606A000000"')),
    "FMSPC_MISMATCH",
  ],
  [
    "FMSPC in lower case",
    () => tcbInfo((body) => body.replace(/"fmspc":"\w{12}"/, (text) => text.toLowerCase())),
    "UpToDate",
  ],
  ["TDX TCB info for an enclave", () => result(shop.sgx, { ...sgx, tcbInfo: tdx.tcbInfo }), "TCB_INFO_TEE_MISMATCH"],
  [
    "the TD quoting enclave's identity for an enclave",
    () => result(shop.sgx, { ...sgx, qeIdentity: tdx.qeIdentity }),
    "QE_IDENTITY_TEE_MISMATCH",
  ],
  [
    "the identity of another enclave of Intel's",
    () => qeIdentity(replace('"id":"QE"', '"id":"QVE"')),
    "QE_IDENTITY_TEE_MISMATCH",
  ],
  ["SGX collateral for a TD", () => result(shop.tdx, sgx), "TCB_INFO_TEE_MISMATCH"],
]);

const qeReport = (offset: number, ...bytes: readonly number[]): string =>
  result(shop.withQeReport(shop.sgx, set(offset, ...bytes)), sgx);

rules("steps 8 and 9: quoting enclave", [
  ["the second half of its report data", () => qeReport(383, 1), "QE_REPORT_DATA_MISMATCH"],
  ["the first half of its report data", () => qeReport(320, 0, 0), "QE_REPORT_DATA_MISMATCH"],
  ["MISCSELECT", () => qeReport(16, 1), "QE_MISCSELECT_MISMATCH"],
  ["a debug flag", () => qeReport(48, 0x17), "QE_ATTRIBUTES_MISMATCH"],
  ["a flag that the mask leaves out", () => qeReport(48, 0x11), "UpToDate"],
  ["MRSIGNER", () => qeReport(128, 0), "QE_MRSIGNER_MISMATCH"],
  ["MRENCLAVE, which no identity names", () => qeReport(64, 0xee), "UpToDate"],
  ["ISVPRODID", () => qeReport(256, 2, 0), "QE_ISVPRODID_MISMATCH"],
  ["ISVSVN newer than all levels", () => qeReport(258, 0xff, 0xff), "UpToDate"],
  ["ISVSVN between two levels", () => qeReport(258, 7, 0), "OutOfDate"],
  ["ISVSVN of a revoked level", () => qeReport(258, 4, 0), "TCB_REVOKED"],
  ["ISVSVN below all levels", () => qeReport(258, 3, 0), "QE_TCB_NOT_SUPPORTED"],
  ["levels served oldest first", () => qeIdentity(reversedLevels), "UpToDate"],
  ["a value that its mask leaves out", () => qeIdentity(outsideMask), "QE_MISCSELECT_MISMATCH"],
]);

const QUOTES = [
  ["SGX", shop.sgx, sgx],
  ["a TD in version 4", shop.tdx, tdx],
  ["a TD in version 5", shop.tdx15, tdx],
] as const;
const HEADER_BYTES = 48;

for (const [name, quote, collateral] of QUOTES) {
  const over = (range: (end: number) => [number, number], key?: KeyObject): string =>
    result(shop.signedOver(quote, range, key), collateral);
  rules(`step 10: quote signature, ${name}`, [
    ["over header and body", () => over((end) => [0, end]), "UpToDate"],
    ["the other of the two forms that ECDSA allows", () => otherForm(quote, collateral), "UpToDate"],
    ["over the body without the header", () => over((end) => [HEADER_BYTES, end]), "QUOTE_SIGNATURE_INVALID"],
    ["over the header alone", () => over(() => [0, HEADER_BYTES]), "QUOTE_SIGNATURE_INVALID"],
    ["over one byte less", () => over((end) => [0, end - 1]), "QUOTE_SIGNATURE_INVALID"],
    ["over the length behind it too", () => over((end) => [0, end + 4]), "QUOTE_SIGNATURE_INVALID"],
    ["by the PCK key", () => over((end) => [0, end], shop.pckKey), "QUOTE_SIGNATURE_INVALID"],
    [
      "of zeros",
      () =>
        result(
          shop.withSignature(quote, (bytes) => bytes.fill(0)),
          collateral,
        ),
      "QUOTE_SIGNATURE_INVALID",
    ],
    [
      "with its halves exchanged",
      () => result(shop.withSignature(quote, exchange), collateral),
      "QUOTE_SIGNATURE_INVALID",
    ],
  ]);
}

function exchange(signature: Uint8Array): void {
  signature.set(concatBytes(signature.slice(32), signature.slice(0, 32)));
}

/** (r, order - s) holds where (r, s) does; nothing rests on a signature having one form. */
function otherForm(quote: Uint8Array, collateral: Collateral): string {
  const order = BigInt("0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
  return result(
    shop.withSignature(quote, (signature) => {
      const s = order - BigInt(`0x${toHex(signature.subarray(32))}`);
      signature.set(fromHex(s.toString(16).padStart(64, "0")) ?? [], 32);
    }),
    collateral,
  );
}

function outsideMask(body: string): string {
  return replace('"miscselect":"00000000","miscselectMask":"FF', '"miscselect":"01000000","miscselectMask":"00')(body);
}

interface WithLevels {
  tcbLevels: unknown[];
}

function reversedLevels(body: string): string {
  const document = JSON.parse(body) as WithLevels;
  return JSON.stringify({ ...document, tcbLevels: document.tcbLevels.toReversed() });
}

const td = (edit: (bytes: Uint8Array) => void, quote = shop.tdx, collateral = tdx): string =>
  result(shop.signed(quote, edit), collateral);
const tdInfo = (edit: (body: string) => string, quote = shop.tdx): string =>
  result(quote, { ...tdx, tcbInfo: shop.document(tdx.tcbInfo, edit) });
/** TEE_TCB_SVN in a version 4 quote; MRSIGNERSEAM and SEAMATTRIBUTES behind it. */
const [TEE_TCB_SVN, MRSIGNERSEAM, SEAMATTRIBUTES] = [48, 48 + 64, 48 + 112];

rules("step 11: TDX module", [
  ["the evidence as it is", () => result(shop.tdx, tdx), "UpToDate"],
  ["a TDX 1.5 report", () => result(shop.tdx15, tdx), "UpToDate"],
  ["a version without an identity", () => td(set(TEE_TCB_SVN + 1, 2)), "TDX_MODULE_UNKNOWN"],
  ["another signer", () => td(set(MRSIGNERSEAM, 1)), "TDX_MODULE_SIGNER_MISMATCH"],
  ["attributes", () => td(set(SEAMATTRIBUTES + 7, 0x80)), "TDX_MODULE_ATTRIBUTES_MISMATCH"],
  [
    "attributes that a mask leaves out",
    () =>
      result(shop.signed(shop.tdx, set(SEAMATTRIBUTES, 1)), {
        ...tdx,
        tcbInfo: shop.document(tdx.tcbInfo, (body) =>
          body.replaceAll('"attributesMask":"FFFFFFFFFFFFFFFF"', '"attributesMask":"0000000000000000"'),
        ),
      }),
    "TDX_MODULE_ATTRIBUTES_MISMATCH",
  ],
  [
    "a signer that only the other module has",
    () => tdInfo(replace(/"id":"TDX_01","mrsigner":"00/, '"id":"TDX_01","mrsigner":"01')),
    "TDX_MODULE_SIGNER_MISMATCH",
  ],
  [
    "another signer of version 0, which does not run",
    () => tdInfo(replace(/"tdxModule":\{"mrsigner":"00/, '"tdxModule":{"mrsigner":"01')),
    "UpToDate",
  ],
  ["below the module's levels", () => td(set(TEE_TCB_SVN, 4)), "TDX_MODULE_TCB_NOT_SUPPORTED"],
  ["newer than the module's levels", () => td(set(TEE_TCB_SVN, 9)), "UpToDate"],
  [
    "the same version twice",
    () => tdInfo((body) => body.replace(/"tdxModuleIdentities":\[(.*?\]\})\]/, '"tdxModuleIdentities":[$1,$1]')),
    "TCB_INFO_MALFORMED",
  ],
  ["an id with three digits", () => tdInfo(replace('"id":"TDX_01"', '"id":"TDX_001"')), "TCB_INFO_MALFORMED"],
]);

rules("step 12: platform level", [
  ["levels served oldest first", () => tcbInfo(reversedLevels), "UpToDate"],
  ["one component below", () => tcbInfo(replace('{"svn":9}', '{"svn":10}')), "SWHardeningNeeded"],
  [
    "the last component below in every level",
    () => tcbInfo((body) => body.replaceAll('{"svn":0}],"pcesvn"', '{"svn":1}],"pcesvn"')),
    "TCB_NOT_SUPPORTED",
  ],
  ["the PCE below in the newest level", () => tcbInfo(replace('"pcesvn":13', '"pcesvn":14')), "SWHardeningNeeded"],
  [
    "the PCE below in every level",
    () => tcbInfo((body) => body.replaceAll('"pcesvn":13', '"pcesvn":14')),
    "TCB_NOT_SUPPORTED",
  ],
  ["a TDX component below", () => td(set(TEE_TCB_SVN + 2, 5)), "TCB_NOT_SUPPORTED"],
  ["version 0 of the module is compared by its first component", () => td(set(TEE_TCB_SVN, 4, 0)), "TCB_NOT_SUPPORTED"],
  ["version 0 of the module, new enough", () => td(set(TEE_TCB_SVN, 5, 0)), "UpToDate"],
]);

rules("step 13: merged status", [
  [
    "an old quoting enclave under a level that needs configuration",
    () => result(platform.quote({ ...enclave(), tcbLevel: "ConfigurationNeeded", qeLevel: "OutOfDate" }), sgx),
    "OutOfDateConfigurationNeeded",
  ],
  [
    "an old quoting enclave under hardening",
    () => result(platform.quote({ ...enclave(), tcbLevel: "SWHardeningNeeded", qeLevel: "OutOfDate" }), sgx),
    "OutOfDate",
  ],
  [
    "a revoked level under a good quoting enclave",
    () => result(platform.quote({ ...enclave(), tcbLevel: "Revoked" }), sgx),
    "TCB_REVOKED",
  ],
  ["an old module alone", () => tdInfo(newerModule), "OutOfDate"],
  ["an old module alone, and the newest runs by now", () => tdInfo(newerModule, relaunched()), "RelaunchAdvised"],
  [
    "a revoked module",
    () =>
      tdInfo(
        replace(
          /"isvsvn":5\},"tcbDate":"([^"]+)","tcbStatus":"UpToDate"/,
          '"isvsvn":5},"tcbDate":"$1","tcbStatus":"Revoked"',
        ),
      ),
    "TCB_REVOKED",
  ],
]);

function enclave() {
  return { mrenclave: new Uint8Array(32), mrsigner: new Uint8Array(32), reportData: new Uint8Array(64) };
}

/** A newer level of the module makes the present one out of date. */
function newerModule(body: string): string {
  const newer = '{"tcb":{"isvsvn":6},"tcbDate":"2026-01-01T00:00:00Z","tcbStatus":"UpToDate"},';
  const old = /\{"tcb":\{"isvsvn":5\},"tcbDate":"([^"]+)","tcbStatus":"UpToDate"\}/;
  return replace(old, `${newer}{"tcb":{"isvsvn":5},"tcbDate":"$1","tcbStatus":"OutOfDate"}`)(body);
}

/** TEE_TCB_SVN_2 stands at the end of a TDX 1.5 report, before MRSERVICETD. */
function relaunched(): Uint8Array {
  return shop.signed(shop.tdx15, set(54 + 584, 6));
}

test("step 14: the result holds the lower evaluation number, the oldest date and all advisories", () => {
  const quote = platform.quote({ ...enclave(), tcbLevel: "SWHardeningNeeded", qeLevel: "OutOfDate" });
  const served = { ...sgx, qeIdentity: platform.collateral({ tcbEvaluationDataNumber: 7 }).qeIdentity };
  const claims: VerifiedClaims = appraise({ quote }, served, anchors, NOW);
  assert.equal(claims.tcb.evaluationDataNumber, 1);
  assert.deepEqual(claims.tcb.advisoryIds, ["SIMULATED-SA-00001", "SIMULATED-SA-00005"]);
  assert.equal(claims.tcb.tcbDate.toISOString(), "2025-02-03T00:00:00.000Z");
  assert.deepEqual([claims.tcb.platformStatus, claims.tcb.qeStatus], ["SWHardeningNeeded", "OutOfDate"]);
  assert.equal(claims.dates.earliestExpiry.toISOString(), "2026-04-09T12:00:00.000Z");
});
