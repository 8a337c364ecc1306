import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { suite, test } from "node:test";
import { concatBytes, fromHex, toHex, utf8 } from "@cloister/encoding";
import { aesCmac } from "./cmac.ts";
import { deriveMetadataKey, kdfInput } from "./kdf.ts";
import { decryptMetadata, openMetadata, parseMetadataHeader } from "./metadata.ts";
import { nodeCryptoCipher } from "./node-cipher.ts";
import { openMhtNode } from "./nodes.ts";
import { openFile, PendingEntries } from "./open.ts";
import { bindPath, MAX_PATH_BYTES, normalisePath } from "./path.ts";
import type { RandomSource } from "./random.ts";
import { throwsCode } from "./rim/test-assert.ts";
import { forEachCipher } from "./rim/test-ciphers.ts";
import {
  index,
  sealedBytes,
  sha256Hex,
  type Vector,
  vector,
  vectorKey,
  vectorPlaintext,
  wholePlaintext,
} from "./rim/test-vectors.ts";
import { sealFile } from "./seal.ts";
import { childrenFirst, groupOf, treeShape } from "./tree.ts";

const bytes = (hex: string): Uint8Array => fromHex(hex) ?? assert.fail("not hex");

suite("files of stock tools", () => {
  test("the index holds the 36 files the specification promises", () => {
    assert.equal(index.vectors.length, 36);
    assert.equal(index.vectors.filter((one) => one.sparse).length, 2);
  });
});

/** What a stock writer drew at random for this file, in the order in which `sealFile` draws. */
function recordedRandom(sealed: Uint8Array, one: Vector): RandomSource {
  const header = parseMetadataHeader(sealed.subarray(0, 4096));
  const { rootEntry, sizeBytes } = openMetadata(header, vectorKey(one.key_hex));
  const shape = treeShape(sizeBytes);
  const pending = new PendingEntries(rootEntry);
  const drawn = new Map<number, Uint8Array>();
  for (let mht = 0; mht < shape.mhtNodes; mht += 1) {
    const { sealedOffset, dataNodes } = groupOf(shape, mht);
    const entry = pending.take(mht);
    const node = openMhtNode(nodeCryptoCipher, sealed.subarray(sealedOffset, sealedOffset + 4096), entry);
    pending.add(mht, node, shape);
    const dataKeys = Array.from({ length: dataNodes }, (_, slot) => node.subarray(slot * 32, slot * 32 + 16));
    drawn.set(mht, concatBytes(...dataKeys, entry.subarray(0, 16)));
  }
  const groups = [...childrenFirst(shape)].map((mht) => drawn.get(mht) ?? new Uint8Array());
  let rest = concatBytes(...groups, header.nonce);
  return (lengthBytes) => {
    const taken = rest.subarray(0, lengthBytes);
    rest = rest.subarray(lengthBytes);
    return taken;
  };
}

forEachCipher((cipher) => {
  suite("files of stock tools", () => {
    for (const one of index.vectors.filter((each) => each.sparse === undefined)) {
      test(`${one.name} (format ${one.format}, ${one.plaintext_size} bytes) opens to its recorded plaintext`, () => {
        const sealed = sealedBytes(one.name);
        assert.equal(sealed.length, one.encrypted_size);
        assert.equal(sha256Hex(sealed), one.encrypted_sha256);
        const wrapKey = vectorKey(one.key_hex);
        const raw = normalisePath(one.bound_path) !== one.bound_path;
        const options = { wrapKey, boundPath: one.bound_path, cipher };
        if (raw) throwsCode(() => openFile(sealed, options), "PATH_NOT_NORMAL");
        const plaintext = openFile(sealed, raw ? { ...options, tolerate: ["raw-path"] } : options);
        assert.equal(sha256Hex(plaintext), one.plaintext_sha256);
        const tail = Math.max(0, one.plaintext_size - 10_000);
        assert.deepEqual(
          plaintext.subarray(tail),
          vectorPlaintext(one.plaintext_seed, tail, one.plaintext_size - tail),
        );
        assert.equal(parseMetadataHeader(sealed.subarray(0, 4096)).formatVersion, one.format);
      });
    }

    for (const one of index.vectors.filter(
      (each) => each.sparse === undefined && each.bound_path.startsWith("files/"),
    )) {
      test(`${one.name} sealed by us in its format has the stock size and opens again`, () => {
        const plaintext = new Uint8Array(randomBytes(one.plaintext_size));
        const options = {
          wrapKey: vectorKey(one.key_hex),
          boundPath: one.bound_path,
          formatVersion: one.format,
          cipher,
        };
        const sealed = sealFile(plaintext, options);
        assert.equal(sealed.length, one.encrypted_size);
        assert.equal(Buffer.compare(openFile(sealed, options), plaintext), 0);
      });
    }
  });

  suite("what we write is what stock tools write", () => {
    for (const one of index.vectors.filter((each) => each.sparse === undefined)) {
      if (normalisePath(one.bound_path) !== one.bound_path) continue;
      test(`${one.name} comes out byte for byte from the keys and nonce that its writer drew`, () => {
        const stock = sealedBytes(one.name);
        const sealed = sealFile(wholePlaintext(one), {
          wrapKey: vectorKey(one.key_hex),
          boundPath: one.bound_path,
          formatVersion: one.format,
          random: recordedRandom(stock, one),
          cipher,
        });
        assert.equal(sha256Hex(sealed), one.encrypted_sha256);
      });
    }
  });
});

suite("intermediate values", () => {
  for (const one of index.intermediates) {
    test(`${one.name}: derivation input, metadata key, tag and first keys are as recorded`, () => {
      const sealed = sealedBytes(one.name);
      const header = parseMetadataHeader(sealed.subarray(0, 4096));
      const wrapKey = vectorKey(vector(one.name).key_hex);
      assert.equal(toHex(kdfInput(header.nonce)), one.kdf_input_hex);
      assert.equal(toHex(deriveMetadataKey(wrapKey, header.nonce)), one.metadata_key_hex);
      assert.equal(toHex(header.tag), one.metadata_tag_hex);
      const plain = decryptMetadata(header, wrapKey);
      assert.equal(sha256Hex(plain.subarray(0, 812)), one.decrypted_header_first_812_sha256);
      const metadata = openMetadata(header, wrapKey);
      assert.equal(metadata.sizeBytes, one.file_size);
      assert.equal(toHex(metadata.rootEntry), one.root_mht_key_hex + one.root_mht_tag_hex);
      if (one.data0_key_hex === undefined) return;
      const root = openMhtNode(nodeCryptoCipher, sealed.subarray(4096, 8192), metadata.rootEntry);
      assert.equal(toHex(root.subarray(0, 32)), one.data0_key_hex + (one.data0_tag_hex ?? ""));
    });
  }

  // RFC 4493, section 4.
  const key = bytes("2b7e151628aed2a6abf7158809cf4f3c");
  const message = bytes(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
  );
  for (const [length, tag] of [
    [0, "bb1d6929e95937287fa37d129b756746"],
    [16, "070a16b46b4d4144f79bdd9dd04a287c"],
    [40, "dfa66747de9ae63030ca32611497c827"],
    [64, "51f0bebf7e3b9d92fc49741779363cfe"],
  ] as const) {
    test(`CMAC of ${length} bytes is RFC 4493's`, () => {
      assert.equal(toHex(aesCmac(key, message.subarray(0, length))), tag);
    });
  }
});

suite("paths", () => {
  for (const { input, output } of index.path_normalisation.cases) {
    test(`normal form of ${JSON.stringify(input)} is ${JSON.stringify(output)}`, () => {
      assert.equal(normalisePath(input), output);
      assert.equal(normalisePath(output), output, "the normal form is its own normal form");
    });
  }

  test("the limit is 771 bytes of UTF-8, not characters", () => {
    assert.equal(bindPath("d".repeat(MAX_PATH_BYTES)).path.length, 771);
    throwsCode(() => bindPath("d".repeat(MAX_PATH_BYTES + 1)), "PATH_TOO_LONG");
    const wide = "ß".repeat(386);
    assert.equal(utf8(wide).length, 772);
    throwsCode(() => bindPath(wide), "PATH_TOO_LONG");
  });

  test("a path that is not in normal form is bound in normal form and reported", () => {
    assert.deepEqual(bindPath("./models//a"), { path: "models/a", wasNormal: false });
    assert.deepEqual(bindPath("models/a"), { path: "models/a", wasNormal: true });
  });

  test("paths that cannot be bound are refused", () => {
    for (const path of ["", ".", "a/.."]) throwsCode(() => bindPath(path), "PATH_EMPTY");
    for (const path of ["a\0b", "\ud800"]) throwsCode(() => bindPath(path), "PATH_MALFORMED");
  });
});
