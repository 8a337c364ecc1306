import { test } from "node:test";
import { assert as check, nat, property, record, uint8Array, type Arbitrary } from "fast-check";
import { fromUtf8, utf8 } from "@cloister/encoding";
import { encodeCollateral } from "./collateral.ts";
import { decodeCrlBody, decodeIssuerChain } from "./collateral-request.ts";
import { AttestationError } from "../errors.ts";
import { inspectItem } from "../inspect/index.ts";
import { parseMaaKeys } from "../maa/jwks.ts";
import { parseJwt } from "../maa/jwt.ts";
import { parseQcnl } from "../qcnl/qcnl.ts";
import { loadCase } from "../rim/testing/dcap-bundle.ts";
import { keySet, mockKey, signToken } from "../rim/testing/mock-maa.ts";

const { collateral, quote } = loadCase("sgx-00606a-2025-08/valid");
const RUNS = { numRuns: 300, seed: 7 };
const key = mockKey("key", "ES256");

/** Valid input with a part replaced by other bytes. */
function mutated(valid: Uint8Array): Arbitrary<Uint8Array> {
  const part = record({ at: nat(valid.length), cut: nat(8), bytes: uint8Array({ maxLength: 8 }) });
  return part.map(({ at, cut, bytes }) => {
    return new Uint8Array([...valid.subarray(0, at), ...bytes, ...valid.subarray(at + cut)]);
  });
}

/** Whether a call ends with a result or a typed refusal. */
function endsWell(call: () => unknown): boolean {
  try {
    call();
    return true;
  } catch (error) {
    return error instanceof AttestationError;
  }
}

const text = (bytes: Uint8Array): string => fromUtf8(bytes) ?? "";
const parsers: readonly [string, readonly Uint8Array[], (bytes: Uint8Array) => unknown][] = [
  [
    "the inspection",
    [quote, collateral.tcbInfo, collateral.qeIdentity, collateral.pckCrl, encodeCollateral(collateral)],
    inspectItem,
  ],
  [
    "an issuer chain",
    [utf8(encodeURIComponent(collateral.pckCrlIssuerChain))],
    (bytes) => decodeIssuerChain(text(bytes)),
  ],
  ["a revocation list of a service", [collateral.pckCrl], decodeCrlBody],
  [
    "a qcnl file",
    [utf8('{"pccs_url": "https://a/" /* b */}'), utf8("PCCS_URL=https://a/\n# b")],
    (bytes) => parseQcnl(text(bytes)),
  ],
  ["a token", [utf8(signToken({ iss: "a", exp: 5 }, key))], (bytes) => parseJwt(text(bytes))],
  ["a key set", [utf8(keySet([key]))], parseMaaKeys],
];

for (const [title, inputs, parse] of parsers) {
  test(`${title} of any bytes gives a result or a typed refusal`, () => {
    check(
      property(uint8Array({ maxLength: 200 }), (bytes) => endsWell(() => parse(bytes))),
      RUNS,
    );
    for (const input of inputs) {
      check(
        property(mutated(input), (bytes) => endsWell(() => parse(bytes))),
        RUNS,
      );
    }
  });
}
