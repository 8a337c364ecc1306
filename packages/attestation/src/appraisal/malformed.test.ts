import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { concatBytes } from "@cloister/encoding";
import { decodeCollateral, encodeCollateral } from "../collateral/collateral.ts";
import { parseQuote, stripZeroPadding } from "../quote/quote.ts";
import { appraiseBundle, loadCase, outcomeOf, type DcapBundle } from "../rim/testing/dcap-bundle.ts";

const SGX = loadCase("sgx-00a067-config-sw/valid");
const TDX4 = loadCase("tdx4-20a06f-uptodate/valid");
const TDX5 = loadCase("tdx5-90c06f-td15-uptodate/valid");

function withBytes(bundle: DcapBundle, offset: number, ...bytes: readonly number[]): Uint8Array {
  const changed = bundle.quote.slice();
  changed.set(bytes, offset);
  return changed;
}

for (const [name, { quote }] of Object.entries({ SGX, TDX4, TDX5 })) {
  test(`a ${name} quote cut off anywhere is refused`, () => {
    for (let length = 0; length < quote.length; length += 7) {
      assert.match(
        outcomeOf(() => parseQuote(quote.subarray(0, length))),
        /^QUOTE_MALFORMED$/,
        String(length),
      );
    }
    assert.equal(
      outcomeOf(() => parseQuote(quote.subarray(0, -1))),
      "QUOTE_MALFORMED",
    );
  });

  test(`padding of a ${name} quote is refused, and cut off on request where it is zeros`, () => {
    const padded = concatBytes(quote, new Uint8Array(70));
    assert.equal(
      outcomeOf(() => parseQuote(padded)),
      "QUOTE_TRAILING_BYTES",
    );
    const { quote: stripped, droppedBytes } = stripZeroPadding(padded);
    assert.deepEqual(stripped, quote);
    assert.equal(droppedBytes, 70);
    padded[padded.length - 1] = 1;
    assert.equal(
      outcomeOf(() => stripZeroPadding(padded)),
      "QUOTE_TRAILING_BYTES",
    );
  });
}

test("a quote that needs no stripping stays as it is", () => {
  assert.deepEqual(stripZeroPadding(SGX.quote), { quote: SGX.quote, droppedBytes: 0 });
});

const headers: readonly [string, Uint8Array, string][] = [
  ["version 2", withBytes(SGX, 0, 2), "QUOTE_VERSION_UNSUPPORTED"],
  ["version 0x0103", withBytes(SGX, 0, 3, 1), "QUOTE_VERSION_UNSUPPORTED"],
  ["version 4 for SGX", withBytes(SGX, 0, 4), "QUOTE_TEE_UNSUPPORTED"],
  ["version 3 for TDX", withBytes(TDX4, 0, 3), "QUOTE_TEE_UNSUPPORTED"],
  ["key type 3", withBytes(SGX, 2, 3), "QUOTE_KEY_TYPE_UNSUPPORTED"],
  ["TEE 0x81000000", withBytes(SGX, 4, 0, 0, 0, 0x81), "QUOTE_TEE_UNSUPPORTED"],
  ["another vendor", withBytes(SGX, 12, 0), "QUOTE_VENDOR_UNKNOWN"],
  ["signature data of 0 bytes", withBytes(SGX, 432, 0, 0, 0, 0), "QUOTE_MALFORMED"],
  ["signature data of 4 GiB", withBytes(SGX, 432, 255, 255, 255, 255), "QUOTE_MALFORMED"],
  ["QE authentication data of 65535 bytes", withBytes(SGX, 1012, 255, 255), "QUOTE_MALFORMED"],
  ["certification data of type 6", withBytes(SGX, 1046, 6), "QUOTE_CERTIFICATION_TYPE_UNSUPPORTED"],
  ["outer certification data of type 5", withBytes(TDX4, 764, 5), "QUOTE_CERTIFICATION_TYPE_UNSUPPORTED"],
  ["outer certification data of 0 bytes", withBytes(TDX4, 766, 0, 0, 0, 0), "QUOTE_MALFORMED"],
  ["body type 1 in version 5", withBytes(TDX5, 48, 1), "QUOTE_MALFORMED"],
  ["body type 5 in version 5", withBytes(TDX5, 48, 5), "QUOTE_MALFORMED"],
  ["a body size of another type", withBytes(TDX5, 50, 0x48, 0x02), "QUOTE_MALFORMED"],
];

for (const [title, quote, code] of headers) {
  test(`a quote is refused: ${title}`, () => {
    assert.equal(
      outcomeOf(() => parseQuote(quote)),
      code,
    );
  });
}

test("a quote above 16 KiB is refused before it is read", () => {
  assert.equal(
    outcomeOf(() => parseQuote(new Uint8Array(16 * 1024 + 1))),
    "QUOTE_TOO_LARGE",
  );
});

test("any bytes in place of a quote or collateral give a typed refusal", () => {
  const junk = fc.uint8Array({ maxLength: 600 });
  fc.assert(
    fc.property(junk, fc.constantFrom("quote", "tcbInfo", "qeIdentity", "rootCaCrl", "pckCrl"), (bytes, item) => {
      const bundle =
        item === "quote" ? { ...SGX, quote: bytes } : { ...SGX, collateral: { ...SGX.collateral, [item]: bytes } };
      assert.match(
        outcomeOf(() => appraiseBundle(bundle)),
        /_(MALFORMED|UNSUPPORTED)$/,
      );
    }),
    { numRuns: 200 },
  );
});

test("any piece of a quote written over with anything gives a typed refusal", () => {
  const change = fc.uint8Array({ minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(fc.constantFrom(SGX, TDX4, TDX5), fc.nat(4000), change, (bundle, offset, bytes) => {
      const quote = withBytes(bundle, offset, ...bytes);
      const same = Buffer.compare(quote, bundle.quote) === 0;
      assert.equal(outcomeOf(() => appraiseBundle({ ...bundle, quote })) === "accepted", same);
    }),
    { numRuns: 200 },
  );
});

test("any text in place of an issuer chain gives a typed refusal", () => {
  const names = fc.constantFrom("tcbInfoIssuerChain", "qeIdentityIssuerChain", "pckCrlIssuerChain");
  fc.assert(
    fc.property(names, fc.string({ maxLength: 200 }), (name, text) => {
      const collateral = { ...SGX.collateral, [name]: text };
      assert.match(
        outcomeOf(() => appraiseBundle({ ...SGX, collateral })),
        /_CHAIN_MALFORMED$/,
      );
    }),
    { numRuns: 50 },
  );
});

test("JSON of 3,000 nested arrays, of 2 MiB, and text that is no UTF-8 are refused", () => {
  const nested = Buffer.from(`{"tcbInfo":${"[".repeat(3000)}${"]".repeat(3000)},"signature":""}`);
  for (const tcbInfo of [nested, Buffer.alloc(2 << 20, 0x20), Buffer.from([0x22, 0xff, 0x22]), Buffer.alloc(0)]) {
    const collateral = { ...SGX.collateral, tcbInfo };
    assert.equal(
      outcomeOf(() => appraiseBundle({ ...SGX, collateral })),
      "TCB_INFO_MALFORMED",
    );
  }
});

test("a third member beside body and signature is refused", () => {
  const text = Buffer.from(SGX.collateral.tcbInfo).toString().replace(/\}$/, ',"more":1}');
  const collateral = { ...SGX.collateral, tcbInfo: Buffer.from(text) };
  assert.equal(
    outcomeOf(() => appraiseBundle({ ...SGX, collateral })),
    "TCB_INFO_MALFORMED",
  );
});

test("stored collateral is read back, and in no other form", () => {
  const bytes = encodeCollateral(SGX.collateral);
  assert.deepEqual(decodeCollateral(bytes), { ...SGX.collateral });
  const text = Buffer.from(bytes).toString();
  const others = [
    "",
    "null",
    "[]",
    "{}",
    ` ${text}`,
    text.replace("cloister-collateral/1", "cloister-collateral/2"),
    text.replace('{"format"', '{"a":1,"format"'),
    text.replace('"pckCrl":"', '"pckCrl":"*'),
    text.replace(/"pckCrl":"[^"]*"/, '"pckCrl":1'),
  ];
  for (const other of others) {
    assert.equal(
      outcomeOf(() => decodeCollateral(Buffer.from(other))),
      "COLLATERAL_MALFORMED",
      other.slice(0, 40),
    );
  }
});
