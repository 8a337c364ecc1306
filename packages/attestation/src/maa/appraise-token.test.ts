import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { test } from "node:test";
import { utf8 } from "@cloister/encoding";
import { loadCase } from "../rim/testing/dcap-bundle.ts";
import { keySet, mockKey, signToken, tokenMembers, type TokenMembers } from "../rim/testing/mock-maa.ts";
import { createSimulatedPlatform } from "../simulated/index.ts";
import { appraiseMaaToken } from "./appraise-token.ts";
import { parseMaaKeys } from "./jwks.ts";
import type { MaaProvider } from "./provider.ts";

const NOW = new Date("2026-03-10T12:00:00Z");
const ISSUER = "https://sharedcus.cus.attest.azure.net";
const AZURE: MaaProvider = { url: ISSUER, kind: "azure" };
const MOCK: MaaProvider = { url: "https://maa.test", kind: "simulated" };
const rsa = mockKey("rsa-1");
const ec = mockKey("ec-1", "ES256");
const keys = parseMaaKeys(utf8(keySet([rsa, ec], "both", NOW)));
const REAL = loadCase("sgx-00a067-config-sw/valid").quote;

const runtimeData = utf8("the key of the enclave");
const reportData = new Uint8Array(createHash("sha256").update(runtimeData).digest());
const platform = createSimulatedPlatform({ now: NOW });
const enclave = {
  mrenclave: new Uint8Array(32).fill(0xe1),
  mrsigner: new Uint8Array(32).fill(0x51),
  isvProdId: 3,
  isvSvn: 4,
};
const QUOTE = platform.quote({ ...enclave, reportData });

const members = (changes: TokenMembers = {}): TokenMembers => ({
  ...tokenMembers(QUOTE, MOCK.url, NOW, runtimeData),
  ...changes,
});
const appraise = (token: string, time = NOW) =>
  appraiseMaaToken({ quote: QUOTE, token, runtimeData }, MOCK, keys, time);
const code = (expected: string) => ({ code: expected });

test("a token of the configured service about a real quote gives claims that name the service", () => {
  const token = signToken(tokenMembers(REAL, ISSUER, NOW), rsa);
  const claims = appraiseMaaToken({ quote: REAL, token }, AZURE, keys, NOW);
  assert.equal(claims.verifier, "maa");
  assert.equal(claims.anchor, ISSUER);
  assert.equal(claims.simulated, false);
  assert.equal(claims.tcb.status, "NotReported");
  assert.equal(claims.crls, undefined);
  assert.deepEqual(claims.dates.earliestExpiry, new Date(NOW.getTime() + 8 * 3_600_000));
});

test("a stand-in vouches for a simulated platform, and the claims say so", () => {
  for (const key of [rsa, ec]) {
    const claims = appraise(signToken(members(), key));
    assert.equal(claims.simulated, true);
    assert.deepEqual(claims.sgx?.mrenclave, enclave.mrenclave);
  }
});

test("real and simulated platforms are not mixed up, whatever the token says", () => {
  const real = signToken(tokenMembers(REAL, MOCK.url, NOW), rsa);
  assert.throws(() => appraiseMaaToken({ quote: REAL, token: real }, MOCK, keys, NOW), code("MAA_PLATFORM_MISMATCH"));
  const simulated = signToken(tokenMembers(QUOTE, ISSUER, NOW), rsa);
  assert.throws(
    () => appraiseMaaToken({ quote: QUOTE, token: simulated }, AZURE, keys, NOW),
    code("MAA_PLATFORM_MISMATCH"),
  );
});

test("only addresses of the service itself count as the service", () => {
  for (const url of [
    "https://attest.azure.net.example",
    "http://sharedcus.cus.attest.azure.net",
    "https://sharedcus.cus.attest.azure.net/path",
    "https://user@sharedcus.cus.attest.azure.net",
    "https://sharedcus.cus.attest.azure.net:8443",
    "nothing",
  ]) {
    const token = signToken(tokenMembers(REAL, url, NOW), rsa);
    assert.throws(
      () => appraiseMaaToken({ quote: REAL, token }, { url, kind: "azure" }, keys, NOW),
      code("MAA_PROVIDER_INVALID"),
    );
  }
});

const seconds = NOW.getTime() / 1000;
const flipped = (text: unknown): string => String(text).replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
const bad: readonly [string, TokenMembers, string][] = [
  ["another issuer", { iss: ISSUER }, "MAA_ISSUER_MISMATCH"],
  ["no issuer", { iss: undefined }, "MAA_ISSUER_MISMATCH"],
  ["exp now", { exp: seconds }, "MAA_TOKEN_EXPIRED"],
  ["no exp", { exp: undefined }, "MAA_TOKEN_MALFORMED"],
  ["exp as text", { exp: "4000000000" }, "MAA_TOKEN_MALFORMED"],
  ["nbf in a second", { nbf: seconds + 1 }, "MAA_TOKEN_NOT_YET_VALID"],
  ["no nbf", { nbf: undefined }, "MAA_TOKEN_MALFORMED"],
  ["version 2.0", { "x-ms-ver": "2.0" }, "MAA_VERSION_UNSUPPORTED"],
  ["no version", { "x-ms-ver": undefined }, "MAA_VERSION_UNSUPPORTED"],
  ["another type", { "x-ms-attestation-type": "tpm" }, "MAA_ATTESTATION_TYPE_MISMATCH"],
  ["no type", { "x-ms-attestation-type": undefined }, "MAA_ATTESTATION_TYPE_MISMATCH"],
  ["debuggable", { "x-ms-sgx-is-debuggable": true }, "MAA_DEBUGGABLE_MISMATCH"],
  ["debuggable as text", { "x-ms-sgx-is-debuggable": "false" }, "MAA_DEBUGGABLE_MISMATCH"],
  ["another mrenclave", { "x-ms-sgx-mrenclave": flipped(members()["x-ms-sgx-mrenclave"]) }, "MAA_MRENCLAVE_MISMATCH"],
  ["no mrenclave", { "x-ms-sgx-mrenclave": undefined }, "MAA_MRENCLAVE_MISMATCH"],
  ["another mrsigner", { "x-ms-sgx-mrsigner": flipped(members()["x-ms-sgx-mrsigner"]) }, "MAA_MRSIGNER_MISMATCH"],
  ["a short mrsigner", { "x-ms-sgx-mrsigner": "51" }, "MAA_MRSIGNER_MISMATCH"],
  ["another product id", { "x-ms-sgx-product-id": 4 }, "MAA_PRODUCT_ID_MISMATCH"],
  ["a product id as text", { "x-ms-sgx-product-id": "3" }, "MAA_PRODUCT_ID_MISMATCH"],
  ["another svn", { "x-ms-sgx-svn": 5 }, "MAA_SVN_MISMATCH"],
  ["no svn", { "x-ms-sgx-svn": undefined }, "MAA_SVN_MISMATCH"],
  ["other report data", { "x-ms-sgx-report-data": "00".repeat(64) }, "MAA_REPORT_DATA_MISMATCH"],
  ["no report data", { "x-ms-sgx-report-data": undefined }, "MAA_REPORT_DATA_MISMATCH"],
  ["other runtime data", { "x-ms-sgx-ehd": "AAAA" }, "MAA_RUNTIME_DATA_MISMATCH"],
  ["no runtime data", { "x-ms-sgx-ehd": undefined }, "MAA_RUNTIME_DATA_MISMATCH"],
  ["another quote's hash", { "x-ms-sgx-collateral": { quotehash: "00".repeat(32) } }, "MAA_QUOTE_HASH_MISMATCH"],
  ["no collateral", { "x-ms-sgx-collateral": undefined }, "MAA_QUOTE_HASH_MISMATCH"],
];

for (const [title, changes, expected] of bad) {
  test(`a signed token with ${title} is refused: ${expected}`, () => {
    assert.throws(() => appraise(signToken(members(changes), rsa)), code(expected));
  });
}

test("runtime data whose hash is not in the report data is refused, whatever the token says", () => {
  const quote = platform.quote({ ...enclave, reportData: new Uint8Array(64) });
  const token = signToken(tokenMembers(quote, MOCK.url, NOW, runtimeData), rsa);
  assert.throws(
    () => appraiseMaaToken({ quote, token, runtimeData }, MOCK, keys, NOW),
    code("MAA_RUNTIME_DATA_MISMATCH"),
  );
});

test("a token for another quote of the same enclave is refused", () => {
  const quote = platform.quote({ ...enclave, reportData });
  assert.throws(
    () => appraiseMaaToken({ quote, token: signToken(members(), rsa) }, MOCK, keys, NOW),
    code("MAA_QUOTE_HASH_MISMATCH"),
  );
});

test("a token is valid from nbf until before exp", () => {
  const token = signToken(members(), rsa);
  const end = NOW.getTime() + 8 * 3_600_000;
  assert.ok(appraise(token, NOW));
  assert.ok(appraise(token, new Date(end - 1)));
  assert.throws(() => appraise(token, new Date(end)), code("MAA_TOKEN_EXPIRED"));
  assert.throws(() => appraise(token, new Date(NOW.getTime() - 1)), code("MAA_TOKEN_NOT_YET_VALID"));
  assert.throws(() => appraise(token, new Date(Number.NaN)), code("TIME_INVALID"));
});

test("no signature, a shared key, and a key of the other type are refused", () => {
  const good = signToken(members(), rsa);
  const [, payload = "", signature = ""] = good.split(".");
  const header = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const none = `${header({ alg: "none", kid: "rsa-1" })}.${payload}.`;
  assert.throws(() => appraise(none), code("MAA_ALGORITHM_NOT_ALLOWED"));
  const text = `${header({ alg: "HS256", kid: "rsa-1" })}.${payload}`;
  const secret = rsa.publicKey.export({ type: "spki", format: "pem" });
  const shared = `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
  assert.throws(() => appraise(shared), code("MAA_ALGORITHM_NOT_ALLOWED"));
  assert.throws(() => appraise(signToken(members(), rsa, { alg: "ES256" })), code("MAA_ALGORITHM_NOT_ALLOWED"));
  assert.throws(() => appraise(signToken(members(), rsa, { alg: undefined })), code("MAA_ALGORITHM_NOT_ALLOWED"));
  assert.throws(() => appraise(good.slice(0, -signature.length)), code("MAA_SIGNATURE_INVALID"));
});

test("an unknown key, a key that the token brings along, and a changed token are refused", () => {
  const foreign = mockKey("other");
  assert.throws(() => appraise(signToken(members(), foreign)), code("MAA_KEY_UNKNOWN"));
  const jwk = foreign.publicKey.export({ format: "jwk" });
  assert.throws(
    () => appraise(signToken(members(), { ...foreign, id: "rsa-1" }, { jwk })),
    code("MAA_SIGNATURE_INVALID"),
  );
  const [head, , tail] = signToken(members(), rsa).split(".");
  const changed = Buffer.from(JSON.stringify(members({ "x-ms-sgx-svn": 9 }))).toString("base64url");
  assert.throws(() => appraise(`${head}.${changed}.${tail}`), code("MAA_SIGNATURE_INVALID"));
});

test("text that is no token, headers that must be understood, and members that stand twice are refused", () => {
  const part = (text: string): string => Buffer.from(text).toString("base64url");
  const header = part('{"alg":"RS256","kid":"rsa-1"}');
  const bad = [
    "",
    "a.b",
    "a.b.c.d",
    `${header}=.e30.AA`,
    `${header}.e30.A A`,
    `${part('{"alg":"RS256"}')}.e30.AA`,
    `${part('{"alg":"RS256","kid":5}')}.e30.AA`,
    `${part('{"alg":"RS256","kid":"rsa-1","crit":["b64"]}')}.e30.AA`,
    `${header}.${part('{"iss":"a","iss":"b"}')}.AA`,
    `${header}.${part("[]")}.AA`,
    `${header}.${"A".repeat(70_000)}.AA`,
  ];
  for (const token of bad) assert.throws(() => appraise(token), code("MAA_TOKEN_MALFORMED"));
});

test("a key whose certificate has run out is refused", () => {
  const old = parseMaaKeys(utf8(keySet([rsa], "x5c", new Date("2026-01-01T00:00:00Z"))));
  const token = signToken(members(), rsa);
  assert.throws(() => appraiseMaaToken({ quote: QUOTE, token }, MOCK, old, NOW), code("MAA_KEY_EXPIRED"));
});

test("keys are read as certificates, as members, and as both where they agree", () => {
  for (const form of ["x5c", "members", "both"] as const) {
    assert.deepEqual([...parseMaaKeys(utf8(keySet([rsa, ec], form, NOW))).keys()], ["rsa-1", "ec-1"]);
  }
  const {
    keys: [entry],
  } = JSON.parse(keySet([rsa], "both", NOW)) as { keys: [Record<string, unknown>] };
  const {
    keys: [other],
  } = JSON.parse(keySet([mockKey("x")], "both", NOW)) as { keys: [Record<string, unknown>] };
  const bad = [
    "",
    "{}",
    '{"keys":[]}',
    JSON.stringify({ keys: [{ ...entry, x5c: other["x5c"] }] }),
    JSON.stringify({ keys: [entry, entry] }),
    JSON.stringify({ keys: [{ ...entry, kid: undefined }] }),
    JSON.stringify({ keys: [{ kty: "RSA", kid: "a" }] }),
    JSON.stringify({ keys: [{ ...entry, x5c: ["AAAA"], n: undefined, e: undefined }] }),
  ];
  for (const text of bad) assert.throws(() => parseMaaKeys(utf8(text)), code("MAA_KEYS_MALFORMED"));
  const others = [{ kty: "oct", k: "AAAA", kid: "a" }, { ...other, use: "enc" }, entry];
  assert.deepEqual([...parseMaaKeys(utf8(JSON.stringify({ keys: others }))).keys()], ["rsa-1"]);
});

test("TDX quotes are not taken", () => {
  const { quote } = loadCase("tdx4-20a06f-uptodate/valid");
  const token = signToken(members(), rsa);
  assert.throws(() => appraiseMaaToken({ quote, token }, AZURE, keys, NOW), code("MAA_QUOTE_UNSUPPORTED"));
});
