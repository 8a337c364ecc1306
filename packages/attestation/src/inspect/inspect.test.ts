import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { toHex, utf8 } from "@cloister/encoding";
import { toBase64 } from "@cloister/encoding/base64";
import { encodePem, parsePem } from "@cloister/encoding/pem";
import { buildCertificate } from "@cloister/encoding/x509-builder";
import { encodeCollateral } from "../collateral/collateral.ts";
import { createRaTlsCertificate } from "../ra-tls/ra-tls.ts";
import { parseQuote } from "../quote/quote.ts";
import { loadCase } from "../rim/testing/dcap-bundle.ts";
import { createSimulatedPlatform } from "../simulated/index.ts";
import { inspectItem } from "./index.ts";

const BUNDLE = loadCase("sgx-00606a-2025-08/valid");
const TDX = loadCase("tdx4-20a06f-uptodate/valid");
const { collateral, quote } = BUNDLE;
const NOW = new Date("2026-03-10T12:00:00Z");

const details = (bytes: Uint8Array) => inspectItem(bytes).details;

test("a quote is recognised in binary, hex and base64, with and without padding", () => {
  const forms = [quote, utf8(toHex(quote)), utf8(`${toHex(quote).toUpperCase()}\n`), utf8(toBase64(quote))];
  for (const form of forms) {
    const { kind, details } = inspectItem(form);
    assert.equal(kind, "quote");
    assert.equal((details["report"] as Record<string, unknown>)["mrenclave"], toHex(quote.subarray(112, 144)));
    assert.equal((details["certificates"] as unknown[]).length, 3);
  }
  const padded = new Uint8Array(quote.length + 70);
  padded.set(quote);
  assert.equal(details(padded)["paddingBytes"], 70);
});

test("a TDX quote shows its measurements", () => {
  const report = details(TDX.quote)["report"] as Record<string, unknown>;
  const { body } = parseQuote(TDX.quote);
  assert.ok(body.tee === "tdx");
  assert.equal(report["mrTd"], toHex(body.report.mrTd));
  assert.equal((report["rtmrs"] as unknown[]).length, 4);
});

test("certificates are told apart by their extensions", async () => {
  const chain = Buffer.from(parseQuote(quote).signatureData.pckChain).toString().replace(/\0$/, "");
  const [pck = new Uint8Array(), ca = new Uint8Array()] = parsePem(chain, "CERTIFICATE");
  assert.equal(inspectItem(utf8(chain)).kind, "certificate-chain");
  assert.equal(inspectItem(pck).kind, "pck-certificate");
  assert.equal(inspectItem(utf8(encodePem("CERTIFICATE", ca))).kind, "certificate");
  assert.equal((details(pck)["sgx"] as Record<string, unknown>)["fmspc"], "00606a000000");
  const platform = createSimulatedPlatform({ now: NOW });
  const ra = await createRaTlsCertificate({
    keyPair: generateKeyPairSync("ec", { namedCurve: "P-384" }),
    quote: (reportData) =>
      Promise.resolve(platform.quote({ reportData, mrenclave: new Uint8Array(32), mrsigner: new Uint8Array(32) })),
    notBefore: NOW,
    notAfter: NOW,
    nonce: new Uint8Array(16),
  });
  const shown = inspectItem(ra);
  assert.equal(shown.kind, "ra-tls-certificate");
  assert.equal(shown.details["keyType"], "p384");
  assert.equal((shown.details["evidence"] as Record<string, unknown>)["nonce"], "00".repeat(16));
});

test("every collateral item and a whole set are recognised", () => {
  assert.equal(inspectItem(collateral.tcbInfo).kind, "tcb-info");
  assert.equal(inspectItem(collateral.qeIdentity).kind, "qe-identity");
  for (const form of [
    collateral.pckCrl,
    utf8(toHex(collateral.pckCrl)),
    utf8(encodePem("X509 CRL", collateral.pckCrl)),
  ]) {
    assert.equal(inspectItem(form).kind, "crl");
  }
  const set = inspectItem(encodeCollateral(collateral));
  assert.equal(set.kind, "collateral");
  assert.deepEqual(set.details["platform"], { tee: "sgx", fmspc: "00606a000000", pckCa: "platform" });
  assert.equal(details(TDX.collateral.tcbInfo)["tee"], "tdx");
});

test("what is none of these is refused with a code", () => {
  const bad = [
    "",
    "hello",
    "{}",
    "[]",
    "30",
    "0",
    "-----BEGIN CERTIFICATE-----",
    "3003020100",
    "AAAA",
    '{"tcbInfo":{}}',
  ];
  for (const text of bad) assert.throws(() => inspectItem(utf8(text)), { code: "ITEM_UNKNOWN" });
  assert.throws(() => inspectItem(quote.subarray(0, 600)), { code: "QUOTE_MALFORMED" });
});

test("names cannot steer a terminal", () => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name = [["CN", `\u001B[2J${"a".repeat(10)}`]] as const;
  const der = buildCertificate(
    { subject: name, publicKey, notBefore: NOW, notAfter: NOW },
    { name, publicKey, privateKey },
  );
  assert.equal(details(der)["subject"], "?[2Jaaaaaaaaaa");
});
