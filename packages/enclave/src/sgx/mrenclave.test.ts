import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { toHex } from "@cloister/encoding";
import { EnclaveError } from "../errors.ts";
import { computeMrenclave } from "./mrenclave.ts";
import { knownLoader, knownManifest } from "./testing/known-answers.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const hasCode = (code: string) => (error: unknown) => error instanceof EnclaveError && error.code === code;
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe("MRENCLAVE", () => {
  test("is computed over the loader of the known answers", () => {
    assert.equal(sha256(knownLoader()), "b482d7b8f501c23df6add9ea3c5e6a3c4a2575cb0780b94df4d65c4feaa4c6af");
  });

  // Computed with Gramine's own signing tool.
  for (const [size, enclaveSize, maxThreads, edmm, manifestSha256, mrenclave] of [
    [
      "16M",
      16 * MIB,
      1,
      false,
      "f5615a5daf611196ef8ccb0ddfadcfa3bc81ffa1581e86ae0c242fd6569ac07f",
      "0322acedda7c234aa1bfac02e53e6f78057b8ada80e68dee3bfef1f32562c422",
    ],
    [
      "256M",
      256 * MIB,
      4,
      false,
      "870e4c0a28ada2456481f34457262eaa979e7c1e8cb49aeb5815a67fdbfd8ad4",
      "4d5b8e096a7f2d665b93b5422ba2b81788fdf855baab58db51564c08bd5cc6ba",
    ],
    [
      "1024G",
      1024 * GIB,
      4,
      true,
      "d047e535639dfa333d7026c18102ebfc563a0264b358d74f1fc80352e69eab9d",
      "e9ede49223425b16b1b33b14dbaeb219a4bec13cd560237239623ebb75dd9450",
    ],
  ] as const) {
    test(`equals Gramine's for ${size} and ${maxThreads} threads`, () => {
      const manifest = knownManifest(size, maxThreads, edmm);
      assert.equal(sha256(manifest), manifestSha256);
      assert.equal(toHex(computeMrenclave(manifest, knownLoader(), { enclaveSize, maxThreads, edmm })), mrenclave);
    });
  }

  test("changes with every byte of the loader that is loaded", () => {
    const dimensions = { enclaveSize: 16 * MIB, maxThreads: 1, edmm: true };
    const manifest = knownManifest("16M", 1, true);
    const changed = knownLoader();
    changed[0x1000] = (changed[0x1000] ?? 0) ^ 1;
    assert.notDeepEqual(
      computeMrenclave(manifest, changed, dimensions),
      computeMrenclave(manifest, knownLoader(), dimensions),
    );
  });

  for (const [what, enclaveSize, maxThreads] of [
    ["a size that is no power of two", 3 * MIB, 1],
    ["an enclave too small for its threads", MIB, 4],
    ["no thread", 16 * MIB, 0],
  ] as const) {
    test(`refuses ${what}`, () => {
      const dimensions = { enclaveSize, maxThreads, edmm: false };
      assert.throws(
        () => computeMrenclave(new Uint8Array(), knownLoader(), dimensions),
        hasCode("ENCLAVE_DOES_NOT_FIT"),
      );
    });
  }

  for (const [what, change] of [
    ["text", () => new TextEncoder().encode("no ELF")],
    ["a cut file", (loader: Uint8Array) => loader.subarray(0, 0x1100)],
    ["a program header table outside of the file", (loader: Uint8Array) => write(loader, 32, 0xffff)],
    ["a segment larger in the file than in memory", (loader: Uint8Array) => write(loader, 64 + 32, 0x9999)],
    ["segments that overlap", (loader: Uint8Array) => write(loader, 64 + 40, 0x9000)],
  ] as const) {
    test(`refuses ${what} as its loader`, () => {
      const dimensions = { enclaveSize: 16 * MIB, maxThreads: 1, edmm: true };
      const loader = change(knownLoader());
      assert.throws(() => computeMrenclave(new Uint8Array(), loader, dimensions), hasCode("ELF_MALFORMED"));
    });
  }
});

function write(loader: Uint8Array, at: number, value: number): Uint8Array {
  new DataView(loader.buffer).setUint32(at, value, true);
  return loader;
}
