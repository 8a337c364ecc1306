import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { suite, test } from "node:test";
import * as fc from "fast-check";
import { openStream } from "./open-stream.ts";
import { openFile, type OpenOptions } from "./open.ts";
import { ProtectedFileReader } from "./reader.ts";
import { forEachCipher } from "./rim/test-ciphers.ts";
import { index, mutated, vectorKey, vectorPlaintext } from "./rim/test-vectors.ts";
import { sealFile } from "./seal.ts";
import { memorySource } from "./source.ts";
import { ProtectedFileError } from "./errors.ts";
import { STOCK_TOLERANCES } from "./tolerance.ts";

// Every way to open a file must give the same bytes or the same refusal.

const wrapKey = vectorKey("00112233445566778899aabbccddeeff");

type Way = (sealed: Uint8Array, options: OpenOptions) => Promise<Uint8Array>;

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return new Uint8Array(Buffer.concat(parts));
}

async function* inPieces(bytes: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield Promise.resolve(bytes.subarray(at, at + pieceBytes));
}

const WAYS: Readonly<Record<string, Way>> = {
  reader: async (sealed, options) => collect((await ProtectedFileReader.open(memorySource(sealed), options)).chunks()),
  "stream in odd pieces": (sealed, options) => collect(openStream(inPieces(sealed, 1_021), options)),
  "stream in one piece": (sealed, options) => collect(openStream(inPieces(sealed, sealed.length), options)),
};

/** The plaintext, or the code of the refusal. */
async function outcome(open: () => Uint8Array | Promise<Uint8Array>): Promise<Uint8Array | string> {
  try {
    return new Uint8Array(await open());
  } catch (error) {
    assert.ok(error instanceof ProtectedFileError, String(error));
    return error.code;
  }
}

// A stream learns the length only at its end, and then names what it met first.
const STREAM_CODES: Readonly<Record<string, string>> = {
  "trunc-100": "LENGTH_NOT_NODES",
  "trunc-1-node": "TRUNCATED",
  "trunc-last-node": "TRUNCATED",
  "trunc-mid-node": "TRUNCATED",
};

forEachCipher((cipher) => {
  for (const [name, way] of Object.entries(WAYS)) {
    suite(`${name} agrees with opening in memory`, () => {
      for (const tolerate of [[], STOCK_TOLERANCES]) {
        for (const one of index.negative.cases) {
          test(`${one.name}, ${tolerate.length} tolerances`, async () => {
            const options = { wrapKey: vectorKey(one.key_hex), boundPath: one.path, tolerate, cipher };
            const whole = await outcome(() => openFile(mutated(one), options));
            const got = await outcome(() => way(mutated(one), options));
            const streamed = name.startsWith("stream") && typeof whole === "string";
            assert.deepEqual(got, streamed ? (STREAM_CODES[one.name] ?? whole) : whole);
          });
        }
      }
    });
  }

  suite("properties", () => {
    const sizes = fc.oneof(
      fc.nat(12_000),
      fc.constantFrom(3072, 3073, 7168, 7169, 396_288, 396_289, 789_504, 789_505),
      fc.integer({ min: 390_000, max: 820_000 }),
    );

    test("what is sealed opens again, in both formats and every way", async () => {
      await fc.assert(
        fc.asyncProperty(sizes, fc.constantFrom("1.0" as const, "2.0" as const), async (sizeBytes, formatVersion) => {
          const plaintext = new Uint8Array(randomBytes(sizeBytes));
          const options = { wrapKey, boundPath: "models/m/1/x", formatVersion, cipher };
          const sealed = sealFile(plaintext, options);
          assert.equal(Buffer.compare(openFile(sealed, options), plaintext), 0);
          for (const way of Object.values(WAYS)) assert.equal(Buffer.compare(await way(sealed, options), plaintext), 0);
        }),
        { numRuns: 25 },
      );
    });

    test("two sealings of one plaintext share no node and no key material", () => {
      const plaintext = new Uint8Array(20_000);
      const options = { wrapKey, boundPath: "a", cipher };
      const [first, second] = [sealFile(plaintext, options), sealFile(plaintext, options)];
      const nodes = new Set<string>();
      for (const sealed of [first, second]) {
        for (let at = 0; at < sealed.length; at += 4096)
          nodes.add(Buffer.from(sealed.subarray(at, at + 4096)).toString("hex"));
      }
      assert.equal(nodes.size, (first.length + second.length) / 4096);
    });

    test("a flipped bit anywhere is refused in every way, and no wrong byte comes out before", async () => {
      const plaintext = vectorPlaintext("fuzz", 0, 410_000);
      const options = { wrapKey, boundPath: "a/b", formatVersion: "2.0" as const, cipher };
      const sealed = sealFile(plaintext, options);
      await fc.assert(
        fc.asyncProperty(fc.nat(sealed.length - 1), fc.nat(7), async (offset, bit) => {
          const damaged = sealed.slice();
          damaged[offset] = (damaged[offset] ?? 0) ^ (1 << bit);
          assert.equal(typeof (await outcome(() => openFile(damaged, options))), "string");
          let seen = 0;
          try {
            for await (const chunk of openStream(inPieces(damaged, 50_000), options)) {
              assert.deepEqual(chunk, plaintext.subarray(seen, seen + chunk.length));
              seen += chunk.length;
            }
            assert.fail("opened");
          } catch (error) {
            assert.ok(error instanceof ProtectedFileError, String(error));
          }
        }),
        { numRuns: 60 },
      );
    });

    test("arbitrary bytes, cuts and splices are refused with a code and never crash", async () => {
      const sealed = sealFile(vectorPlaintext("splice", 0, 30_000), { wrapKey, boundPath: "a/b", cipher });
      const piece = fc.oneof(
        fc.uint8Array({ maxLength: 9000 }),
        fc
          .tuple(fc.nat(sealed.length), fc.nat(sealed.length))
          .map(([a, b]) => sealed.slice(Math.min(a, b), Math.max(a, b))),
        fc.constantFrom(new Uint8Array(4096), sealed.slice(0, 4096), sealed.slice(4096, 8192)),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(piece, { maxLength: 4 }), async (pieces) => {
          const bytes = new Uint8Array(Buffer.concat(pieces));
          if (Buffer.compare(bytes, sealed) === 0) return;
          const options = { wrapKey, boundPath: "a/b", tolerate: [], cipher };
          assert.equal(typeof (await outcome(() => openFile(bytes, options))), "string");
          for (const way of Object.values(WAYS))
            assert.equal(typeof (await outcome(() => way(bytes, options))), "string");
        }),
        { numRuns: 150 },
      );
    });
  });
});
