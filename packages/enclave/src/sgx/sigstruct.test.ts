import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, verify } from "node:crypto";
import { describe, test } from "node:test";
import { fromHex, toHex } from "@cloister/encoding";
import { EnclaveError } from "../errors.ts";
import { type EnclaveIdentity, mrsigner, SIGSTRUCT_BYTES, signedBytes, signEnclave } from "./sigstruct.ts";

const identity = (mrenclave: string): EnclaveIdentity => ({
  mrenclave: fromHex(mrenclave) ?? new Uint8Array(),
  isvProdId: 0,
  isvSvn: 0,
  debug: false,
  exinfo: false,
  cpuFeatures: {},
  date: { year: 2025, month: 6, day: 19 },
});
const littleEndian = (bytes: Uint8Array): bigint => BigInt(`0x${toHex(bytes.toReversed())}`);

describe("SIGSTRUCT", () => {
  // Computed with Gramine's own signing tool for 2025-06-19.
  for (const [mrenclave, expected] of [
    [
      "0322acedda7c234aa1bfac02e53e6f78057b8ada80e68dee3bfef1f32562c422",
      "bcb2fcf4879c782ad0bc386fa223ba579534cbb861101a5b8f1dcf8b23ca0f04",
    ],
    [
      "4d5b8e096a7f2d665b93b5422ba2b81788fdf855baab58db51564c08bd5cc6ba",
      "2f3e9f783c2f346a439ca986cde0b6487970ced6f15761d6f608bc618ca6778c",
    ],
    [
      "e9ede49223425b16b1b33b14dbaeb219a4bec13cd560237239623ebb75dd9450",
      "490c846b0b597cca3daf78b54c1343aa3bd53788e35550e3cbe102e4fb9ac72f",
    ],
  ] as const) {
    test(`signs the bytes that Gramine signs for ${mrenclave.slice(0, 8)}`, () => {
      assert.equal(
        createHash("sha256")
          .update(signedBytes(identity(mrenclave)))
          .digest("hex"),
        expected,
      );
    });
  }

  const key = generateKeyPairSync("rsa", { modulusLength: 3072, publicExponent: 3 });
  const enclave = identity("ab".repeat(32));

  test("carries the key, a signature that verifies, and the two quotients the processor checks", () => {
    const sigstruct = signEnclave(enclave, key.privateKey);
    assert.equal(sigstruct.length, SIGSTRUCT_BYTES);
    const signature = sigstruct.slice(516, 900).reverse();
    assert.ok(verify("sha256", signedBytes(enclave), key.publicKey, signature));
    const n = littleEndian(sigstruct.subarray(128, 512));
    const s = littleEndian(sigstruct.subarray(516, 900));
    const q1 = littleEndian(sigstruct.subarray(1040, 1424));
    const q2 = littleEndian(sigstruct.subarray(1424, 1808));
    const remainder = s * s - q1 * n;
    assert.ok(remainder >= 0n && remainder < n);
    const cube = remainder * s - q2 * n;
    assert.ok(cube >= 0n && cube < n);
    assert.equal(cube, s ** 3n % n);
  });

  test("names its signer by the modulus as it is stored", () => {
    const sigstruct = signEnclave(enclave, key.privateKey);
    const expected = createHash("sha256").update(sigstruct.subarray(128, 512)).digest("hex");
    assert.equal(toHex(mrsigner(key.publicKey)), expected);
    assert.equal(toHex(mrsigner(key.privateKey)), expected);
  });

  test("sets the bits of required features and the masks of decided ones", () => {
    const bytes = signEnclave(
      { ...enclave, debug: true, exinfo: true, cpuFeatures: { avx512: "required", amx: "disabled" } },
      key.privateKey,
    );
    const view = new DataView(bytes.buffer);
    assert.equal(view.getUint32(900, true), 1);
    assert.equal(view.getBigUint64(928, true), 6n);
    assert.equal(view.getBigUint64(936, true), 0xe7n);
    assert.equal(view.getBigUint64(952, true), 0xffff_ffff_ffff_ffffn);
  });

  for (const [what, wrong] of [
    ["a 2048-bit key", generateKeyPairSync("rsa", { modulusLength: 2048, publicExponent: 3 }).privateKey],
    ["the usual exponent", generateKeyPairSync("rsa", { modulusLength: 3072 }).privateKey],
    ["an elliptic curve", generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey],
  ] as const) {
    test(`refuses ${what}`, () => {
      assert.throws(
        () => signEnclave(enclave, wrong),
        (error) => error instanceof EnclaveError && error.code === "SIGNING_KEY_UNSUITABLE",
      );
    });
  }
});
