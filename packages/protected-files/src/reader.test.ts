import assert from "node:assert/strict";
import { suite, test } from "node:test";
import * as fc from "fast-check";
import { memorySource, type SealedSource } from "./source.ts";
import { ProtectedFileReader } from "./reader.ts";
import { rejectsCode } from "./rim/test-assert.ts";
import { forEachCipher } from "./rim/test-ciphers.ts";
import { index, sealedBytes, sha256Hex, type Vector, vectorKey, vectorPlaintext } from "./rim/test-vectors.ts";
import { sealFile } from "./seal.ts";

const NODE = 4096;
const wrapKey = vectorKey("00112233445566778899aabbccddeeff");

/** A file of which only some nodes are stored; reading any other fails. Counts what is read. */
function sparseSource(one: Vector): SealedSource & { readonly read: SealedSource["read"]; nodesRead: number } {
  const stored = sealedBytes(one.name);
  const nodes = one.nodes ?? assert.fail("not sparse");
  const source = {
    sealedBytes: one.encrypted_size,
    nodesRead: 0,
    read: async (offset: number, lengthBytes: number): Promise<Uint8Array> => {
      assert.equal(lengthBytes, NODE, "one node at a time");
      const at = nodes.indexOf(offset / NODE);
      assert.notEqual(at, -1, `node ${offset / NODE} is not on the way`);
      source.nodesRead += 1;
      return Promise.resolve(stored.subarray(at * NODE, (at + 1) * NODE));
    },
  };
  return source;
}

forEachCipher((cipher) => {
  suite("sparse files of stock tools", () => {
    for (const one of index.vectors.filter((each) => each.sparse === true)) {
      for (const range of one.ranges ?? []) {
        test(`${one.name}: ${range.length} bytes at ${range.offset} with only the nodes on the way`, async () => {
          const options = { wrapKey: vectorKey(one.key_hex), boundPath: one.bound_path, cipher };
          const reader = await ProtectedFileReader.open(sparseSource(one), options);
          assert.equal(reader.sizeBytes, one.plaintext_size);
          const bytes = await reader.read(range.offset, range.length);
          assert.equal(sha256Hex(bytes), range.sha256);
          assert.deepEqual(bytes, vectorPlaintext(one.plaintext_seed, range.offset, range.length));
        });
      }

      test(`${one.name}: a changed node on the way is refused`, async () => {
        const options = { wrapKey: vectorKey(one.key_hex), boundPath: one.bound_path, cipher };
        const last = one.ranges?.at(-1) ?? assert.fail("no range");
        for (const [position, node] of (one.nodes ?? []).entries()) {
          const source = sparseSource(one);
          const damaged: SealedSource = {
            sealedBytes: source.sealedBytes,
            read: async (offset, lengthBytes) => {
              const bytes = (await source.read(offset, lengthBytes)).slice();
              if (offset === node * NODE) bytes[100] = (bytes[100] ?? 0) ^ 1;
              return bytes;
            },
          };
          const act = async (): Promise<Uint8Array> =>
            (await ProtectedFileReader.open(damaged, options)).read(last.offset, last.length);
          const isLastData = position === (one.nodes?.length ?? 0) - 1;
          if (node === 0) await rejectsCode(act(), "METADATA_NOT_AUTHENTIC");
          else if (isLastData) await rejectsCode(act(), "DATA_NODE_NOT_AUTHENTIC");
          else if (node === 1) await rejectsCode(act(), "TREE_NODE_NOT_AUTHENTIC");
        }
      });
    }
  });

  suite("random access", () => {
    const sizeBytes = 900_000;
    const plaintext = vectorPlaintext("random access", 0, sizeBytes);
    const sealed = sealFile(plaintext, { wrapKey, boundPath: "a/b", cipher });
    const open = (): Promise<ProtectedFileReader> =>
      ProtectedFileReader.open(memorySource(sealed), { wrapKey, boundPath: "a/b", cipher });

    test("any range is the same range of the plaintext", async () => {
      const reader = await open();
      await fc.assert(
        fc.asyncProperty(fc.nat(sizeBytes), fc.nat(20_000), async (offset, length) => {
          const wanted = Math.min(length, sizeBytes - offset);
          assert.deepEqual(await reader.read(offset, wanted), plaintext.subarray(offset, offset + wanted));
        }),
        { numRuns: 60 },
      );
    });

    test("the borders of head, nodes and groups are read right", async () => {
      const reader = await open();
      for (const at of [0, 3071, 3072, 3073, 7168, 396_287, 396_288, 396_289, 789_504, sizeBytes - 1]) {
        assert.deepEqual(await reader.read(at, 1), plaintext.subarray(at, at + 1), `byte ${at}`);
      }
      assert.deepEqual(await reader.read(0, sizeBytes), plaintext);
      assert.equal((await reader.read(sizeBytes, 0)).length, 0);
    });

    test("ranges outside the file are refused", async () => {
      const reader = await open();
      for (const [offset, length] of [
        [0, sizeBytes + 1],
        [sizeBytes, 1],
        [-1, 2],
        [0, -1],
        [0.5, 1],
        [0, Number.NaN],
      ] as const) {
        await rejectsCode(reader.read(offset, length), "RANGE_OUT_OF_BOUNDS");
      }
    });

    test("a damaged node elsewhere does not matter to a read that does not need it", async () => {
      const damaged = sealed.slice();
      damaged[NODE * 50] = (damaged[NODE * 50] ?? 0) ^ 1;
      const reader = await ProtectedFileReader.open(memorySource(damaged), { wrapKey, boundPath: "a/b", cipher });
      assert.deepEqual(await reader.read(800_000, 10), plaintext.subarray(800_000, 800_010));
      await rejectsCode(reader.read(3072 + NODE * 48, 10), "DATA_NODE_NOT_AUTHENTIC");
    });
  });
});
