import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import * as fc from "fast-check";
import { fromHex, utf8 } from "../bytes.ts";
import { decodeHuffman, encodeHuffman, huffmanLength } from "./huffman.ts";
import { type HeaderRecord, HpackDecoder, HpackEncoder, Http2Error } from "./index.ts";

interface Sequence {
  readonly section: string;
  readonly tableBytes: number;
  readonly blocks: readonly { readonly hex: string; readonly fields: readonly [string, string][] }[];
}

const ANY_LIST = 1_000_000;
const isCompressionError = (error: unknown): boolean =>
  error instanceof Http2Error && error.code === "COMPRESSION_ERROR";
const bytes = (hex: string): Uint8Array => fromHex(hex) ?? assert.fail("bad hexadecimal");

const vectors = JSON.parse(await readFile(new URL("hpack.vectors.json", import.meta.url), "utf8")) as {
  sequences: Sequence[];
};
for (const { section, tableBytes, blocks } of vectors.sequences) {
  test(`the blocks of RFC 7541, appendix ${section}, are read`, () => {
    const decoder = new HpackDecoder(ANY_LIST, tableBytes);
    for (const { hex, fields } of blocks) {
      const list = decoder.decode(bytes(hex));
      assert.deepEqual(
        list.fields.map(({ name, value }) => [name, value]),
        fields,
      );
    }
  });
}

test("a string is Huffman-coded as in RFC 7541, appendix C.4.1, and any bytes come back", () => {
  assert.deepEqual(encodeHuffman(utf8("www.example.com")), bytes("f1e3c2e5f23a6ba0ab90f4ff"));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (text) => {
      const encoded = encodeHuffman(text);
      assert.equal(encoded.length, huffmanLength(text));
      assert.deepEqual(decodeHuffman(encoded), text);
    }),
  );
});

test("Huffman padding that is too long or not of ones, and an end within a string, are refused", () => {
  for (const hex of ["ffff", "f8ff", "1e", "fffffffc", "fffffffffffffffffc"]) {
    assert.throws(() => decodeHuffman(bytes(hex)), isCompressionError, hex);
  }
});

const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,30}$/);
const value = fc.stringMatching(/^[!-~]{0,200}$/);
const headers = fc.dictionary(name, value, { maxKeys: 12, noNullPrototype: true });

test("what an encoder writes, a decoder reads, whatever the table is resized to between", () => {
  const step = fc.record({ headers, tableBytes: fc.option(fc.integer({ min: 0, max: 10_000 }), { nil: undefined }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder(ANY_LIST);
      for (const { headers: sent, tableBytes } of steps) {
        if (tableBytes !== undefined) encoder.allowTable(tableBytes);
        assert.deepEqual(asRecord(decoder.decode(encoder.encode(sent))), sent);
        // Once more: most of it is in the table now, and the block may have been kept.
        assert.deepEqual(asRecord(decoder.decode(encoder.encode(sent))), sent);
      }
    }),
  );
});

function asRecord({ fields }: ReturnType<HpackDecoder["decode"]>): HeaderRecord {
  return Object.fromEntries(fields.map((field) => [field.name, field.value]));
}

test("headers that were sent before take one byte each", () => {
  const encoder = new HpackEncoder();
  const answer = { ":status": 200, "content-type": "application/grpc", "grpc-accept-encoding": "identity,gzip" };
  assert.ok(encoder.encode(answer).length > 20);
  assert.equal(encoder.encode(answer).length, 3);
  assert.equal(encoder.encode({ ...answer }).length, 3);
});

test("a status text does not push other headers out of the table", () => {
  const encoder = new HpackEncoder();
  encoder.encode({ "grpc-status": "0" });
  for (let index = 0; index < 100; index++) encoder.encode({ "grpc-message": `${index}`.repeat(100) });
  assert.equal(encoder.encode({ "grpc-status": "0" }).length, 1);
});

test("any bytes are a header list or a COMPRESSION_ERROR", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (block) => {
      try {
        new HpackDecoder(ANY_LIST).decode(block);
      } catch (error) {
        assert.ok(isCompressionError(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test("an index out of the tables, cut blocks, endless numbers and a table that is too large are refused", () => {
  for (const hex of ["80", "be", "40", "400a63", "00", "0003616263", "ffffffffffff7f", "3fe21f", "823f00"]) {
    assert.throws(() => new HpackDecoder(ANY_LIST).decode(bytes(hex)), isCompressionError, hex);
  }
});

test("a list beyond the limit is read to its end but not kept (HPACK bomb)", () => {
  const decoder = new HpackDecoder(16 * 1024);
  const large = new HpackEncoder().encode({ large: "~".repeat(3000) });
  const bomb = new Uint8Array(large.length + 50_000).fill(0xbe);
  bomb.set(large);
  const { fields, isTooLarge } = decoder.decode(bomb);
  assert.equal(isTooLarge, true);
  assert.ok(fields.length <= 5);
  // The table is as it was, so later blocks mean what they meant.
  assert.equal(decoder.decode(Uint8Array.of(0xbe)).fields[0]?.name, "large");
});
