import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { utf8 } from "@cloister/encoding";
import type { ModelFiles } from "../model-files.ts";
import { crc32c, maskedCrc32c } from "./crc32c.ts";
import { sliceKey } from "./slices.ts";
import { uncompressSnappy } from "./snappy.ts";
import { decodeStringTensor } from "./string-tensor.ts";
import { TensorBundle } from "./tensor-bundle.ts";

const MODELS = join(import.meta.dirname, "../../test-models");

/** The two files of a checkpoint, as the model directory has them. */
function bundleFiles(path: string): Map<string, Uint8Array> {
  const names = ["variables/variables.index", "variables/variables.data-00000-of-00001"];
  return new Map(names.map((name) => [name, new Uint8Array(readFileSync(join(MODELS, path, name)))]));
}

const PREFIX = "variables/variables";
const PLAIN = "tfserving/saved_model_half_plus_two_2_versions/00000123";
const COMPRESSED = "tfserving/saved_model_half_plus_two_cpu/00000123";

describe("CRC-32C", () => {
  // RFC 3720, appendix B.4.
  const bytes = (length: number, value: (i: number) => number) => Uint8Array.from({ length }, (_, i) => value(i));

  it("gives the values of RFC 3720", () => {
    assert.equal(crc32c(bytes(32, () => 0)), 0x8a9136aa);
    assert.equal(crc32c(bytes(32, () => 0xff)), 0x62a8ab43);
    assert.equal(crc32c(bytes(32, (i) => i)), 0x46dd794e);
    assert.equal(crc32c(utf8("123456789")), 0xe3069283);
  });

  it("is the same bit by bit, at any length and alignment", () => {
    const bitwise = (data: Uint8Array): number => {
      let crc = 0xffff_ffff;
      for (const byte of data) {
        crc ^= byte;
        for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
      }
      return ~crc >>> 0;
    };
    const data = bytes(40_000, (i) => (i * i) >>> 3);
    for (const [from, to] of [
      [0, 12_288],
      [1, 12_288],
      [2, 12_293],
      [3, 24_583],
      [0, 40_000],
      [5, 5],
      [7, 8],
    ] as const) {
      assert.equal(crc32c(data.subarray(from, to)), bitwise(data.subarray(from, to)));
    }
  });

  it("can be continued at any place", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (data, cut) => {
        assert.equal(crc32c(data.subarray(cut), crc32c(data.subarray(0, cut))), crc32c(data));
      }),
    );
  });
});

describe("Snappy", () => {
  it("repeats with a copy that overlaps its own output", () => {
    // Length 8; literal "ab"; copy of 6 from 2 back (one-byte offset form: length 6 - 4 = 2 in bits 2..4).
    assert.deepEqual(uncompressSnappy(Uint8Array.of(8, 1 << 2, 97, 98, (2 << 2) | 1, 2), 100), utf8("abababab"));
  });

  it("refuses what reaches outside or expands too far", () => {
    const code = { code: "BUNDLE_MALFORMED" };
    assert.throws(() => uncompressSnappy(Uint8Array.of(8, 1 << 2, 97, 98, (2 << 2) | 1, 3), 100), code);
    assert.throws(() => uncompressSnappy(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f), 100), code);
    assert.throws(() => uncompressSnappy(Uint8Array.of(4, 1 << 2, 97, 98), 100), code);
  });

  it("never throws anything but a coded error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (data) => {
        try {
          uncompressSnappy(data, 1000);
        } catch (error) {
          assert.equal((error as { code?: string }).code, "BUNDLE_MALFORMED");
        }
      }),
    );
  });
});

describe("TensorBundle", () => {
  for (const path of [PLAIN, COMPRESSED]) {
    it(`reads the variables of ${path}`, () => {
      const bundle = TensorBundle.open(bundleFiles(path), PREFIX);
      assert.deepEqual(Array.from(bundle.read("a").data as Float32Array), [0.5]);
      assert.deepEqual(Array.from(bundle.read("b").data as Float32Array), [2]);
    });

    it(`notices every changed byte of the index of ${path}`, () => {
      const files = bundleFiles(path);
      const index = files.get(`${PREFIX}.index`) ?? new Uint8Array();
      const original = readAll(files);
      let noticed = 0;
      // The footer's padding carries nothing and has no CRC.
      for (let at = 0; at < index.length - 48; at++) {
        const changed = index.slice();
        changed[at] = (changed[at] ?? 0) ^ 0x40;
        const outcome = readAll(new Map([...files, [`${PREFIX}.index`, changed]]));
        // The block of the meta index is empty and is not read: a change there changes nothing.
        assert.ok(["BUNDLE_CHECKSUM", "BUNDLE_MALFORMED", original].includes(outcome), `byte ${at}: ${outcome}`);
        if (outcome !== original) noticed += 1;
      }
      // An empty block with its trailer has 13 bytes.
      assert.ok(noticed >= index.length - 48 - 13);
    });
  }

  it("notices a changed value, a truncated shard and a missing one", () => {
    const files = bundleFiles(PLAIN);
    const path = `${PREFIX}.data-00000-of-00001`;
    const shard = files.get(path) ?? new Uint8Array();
    const changed = shard.slice();
    changed[1] = 1;
    assert.equal(readAll(new Map([...files, [path, changed]])), "BUNDLE_CHECKSUM");
    assert.equal(readAll(new Map([...files, [path, shard.subarray(0, 3)]])), "BUNDLE_TRUNCATED");
    files.delete(path);
    assert.equal(readAll(files), "FILE_MISSING");
    assert.throws(() => TensorBundle.open(bundleFiles(PLAIN), PREFIX).read("nothing"), {
      code: "BUNDLE_TENSOR_MISSING",
    });
  });

  it("survives any bytes in place of an index", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (index) => {
        assert.match(readAll(new Map([[`${PREFIX}.index`, index]])), /^BUNDLE_/);
      }),
    );
  });
});

/** The code of the error, or else the values of all tensors. */
function readAll(files: ModelFiles): string {
  try {
    const bundle = TensorBundle.open(files, PREFIX);
    const values = bundle.names().map((name) => Array.from(bundle.read(name).data as Float32Array).join());
    return values.join(" ");
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

describe("stored strings and slices", () => {
  const encode = (...items: string[]): { content: Uint8Array; crc: number } => {
    const lengths = Uint32Array.from(items, (item) => item.length);
    const lengthCrc = maskedCrc32c(crc32c(new Uint8Array(lengths.buffer)));
    const tail = [...new Uint8Array(Uint32Array.of(lengthCrc).buffer), ...utf8(items.join(""))];
    const crc = maskedCrc32c(crc32c(Uint8Array.from(tail), crc32c(new Uint8Array(lengths.buffer))));
    return { content: Uint8Array.from([...lengths, ...tail]), crc };
  };

  it("reads strings and checks both of their CRCs", () => {
    const { content, crc } = encode("one", "", "three");
    assert.deepEqual(decodeStringTensor("s", content, 3, crc), [utf8("one"), utf8(""), utf8("three")]);
    assert.throws(() => decodeStringTensor("s", content, 3, crc + 1), { code: "BUNDLE_CHECKSUM" });
    assert.throws(() => decodeStringTensor("s", content.with(content.length - 1, 0), 3, crc), {
      code: "BUNDLE_CHECKSUM",
    });
    assert.throws(() => decodeStringTensor("s", content.subarray(0, 5), 3, crc), { code: "BUNDLE_MALFORMED" });
  });

  it("codes the key of a slice in order-preserving form", () => {
    const extent = (start: bigint, length: bigint | undefined) =>
      ({ start, hasLength: length === undefined ? { case: undefined } : { case: "length", value: length } }) as never;
    const key = sliceKey("v", { extent: [extent(0n, 100n), extent(0n, undefined)] } as never);
    // 0; "v" 0 1; rank 2; 0 -> 80; 100 needs two bytes -> c0 64; 0 -> 80; whole (-1) -> 7f.
    assert.deepEqual(key, Uint8Array.of(0, 118, 0, 1, 1, 2, 0x80, 0xc0, 0x64, 0x80, 0x7f));
  });
});
