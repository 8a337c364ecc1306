import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fromHex, Secret } from "@cloister/encoding";
import {
  memorySource,
  type NodeCipher,
  nodeCryptoCipher,
  openFile,
  openStream,
  ProtectedFileError,
  ProtectedFileReader,
} from "@cloister/protected-files";
import { nodeCipher } from "@cloister/protected-files/rim";
import * as fc from "fast-check";
import { ROOT } from "../support/chain.ts";

// Stock files, damaged at random: every way to open one gives verified bytes of that very file or a code, soon.

const RUNS = 3000;
const NODE_BYTES = 4096;
const MAX_FILE_BYTES = 450_000;
const MAX_MS = 2000;
const folder = join(ROOT, "packages/protected-files/vectors");

interface Vector {
  readonly name: string;
  readonly file: string;
  readonly key_hex: string;
  readonly bound_path: string;
  readonly encrypted_size: number;
  readonly sparse?: true;
}

interface Case {
  readonly sealed: Uint8Array;
  readonly plaintext: Uint8Array;
  readonly options: Options;
}

interface Options {
  readonly wrapKey: Secret;
  readonly boundPath: string;
  readonly tolerate: readonly ["raw-path"];
  readonly cipher?: NodeCipher;
}

function loadCases(): Case[] {
  const { vectors } = JSON.parse(readFileSync(join(folder, "index.json"), "utf8")) as { vectors: readonly Vector[] };
  const whole = vectors.filter((one) => one.sparse === undefined && one.encrypted_size < MAX_FILE_BYTES);
  return whole.map((one) => {
    const sealed = new Uint8Array(readFileSync(join(folder, one.file)));
    const wrapKey = new Secret(fromHex(one.key_hex) ?? new Uint8Array(), "vector wrap key");
    const options = { wrapKey, boundPath: one.bound_path, tolerate: ["raw-path"] as const };
    return { sealed, plaintext: openFile(sealed, options), options };
  });
}

const cases = loadCases();
const fast = await nodeCipher();

const damage = fc.oneof(
  fc.record({ kind: fc.constant("flip" as const), at: fc.double({ min: 0, max: 1, noNaN: true }), bit: fc.nat(7) }),
  fc.record({ kind: fc.constant("header" as const), at: fc.nat(58), value: fc.nat(255) }),
  fc.record({ kind: fc.constant("swap" as const), a: fc.nat(110), b: fc.nat(110) }),
  fc.record({ kind: fc.constant("cut" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ kind: fc.constant("append" as const), bytes: fc.integer({ min: 1, max: 9000 }) }),
  fc.record({
    kind: fc.constant("splice" as const),
    other: fc.nat(cases.length - 1),
    from: fc.nat(110),
    to: fc.nat(110),
  }),
);
type Damage = typeof damage extends fc.Arbitrary<infer One> ? One : never;

function nodeOf(bytes: Uint8Array, node: number): Uint8Array {
  const at = (node % Math.max(1, Math.floor(bytes.length / NODE_BYTES))) * NODE_BYTES;
  return bytes.subarray(at, at + NODE_BYTES);
}

function damaged(bytes: Uint8Array, one: Damage): Uint8Array {
  const out = bytes.slice();
  if (out.length === 0) return out;
  switch (one.kind) {
    case "flip": {
      const at = Math.min(out.length - 1, Math.floor(one.at * out.length));
      out[at] = (out[at] ?? 0) ^ (1 << one.bit);
      return out;
    }
    case "header":
      out[Math.min(one.at, out.length - 1)] = one.value;
      return out;
    case "swap": {
      const [a, b] = [nodeOf(out, one.a), nodeOf(out, one.b)];
      const kept = a.slice();
      a.set(b.subarray(0, a.length));
      b.set(kept.subarray(0, b.length));
      return out;
    }
    case "cut":
      return out.slice(0, Math.floor(one.share * out.length));
    case "append":
      return new Uint8Array(Buffer.concat([out, new Uint8Array(one.bytes)]));
    case "splice":
    default: {
      const target = nodeOf(out, one.to);
      target.set(nodeOf(cases[one.other]?.sealed ?? out, one.from).subarray(0, target.length));
      return out;
    }
  }
}

type Chunks = (sealed: Uint8Array, options: Options) => AsyncIterable<Uint8Array>;

const WAYS: readonly Chunks[] = [
  async function* whole(sealed, options) {
    yield await Promise.resolve(openFile(sealed, options));
  },
  async function* reader(sealed, options) {
    yield* (await ProtectedFileReader.open(memorySource(sealed), options)).chunks();
  },
  (sealed, options) => openStream(pieces(sealed), options),
];

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += 65_000) yield await Promise.resolve(bytes.subarray(at, at + 65_000));
}

test(`${RUNS} damaged files give verified bytes or a code, in every way to open them`, async () => {
  assert.notEqual(fast, nodeCryptoCipher, "there are two ciphers to try");
  const property = fc.asyncProperty(
    fc.nat(cases.length - 1),
    fc.array(damage, { minLength: 1, maxLength: 3 }),
    fc.constantFrom(fast, nodeCryptoCipher),
    check,
  );
  await fc.assert(property, { numRuns: RUNS });
});

async function check(which: number, damages: readonly Damage[], cipher: NodeCipher): Promise<void> {
  const one = cases[which];
  assert.ok(one !== undefined);
  const sealed = damages.reduce(damaged, one.sealed);
  const same = Buffer.compare(sealed, one.sealed) === 0;
  for (const way of WAYS) {
    const start = performance.now();
    let seen = 0;
    try {
      for await (const chunk of way(sealed, { ...one.options, cipher })) {
        const wanted = one.plaintext.subarray(seen, seen + chunk.length);
        // A splice can put the whole of another small file in place: it is genuine, and opens where its path is the same.
        if (Buffer.compare(chunk, wanted) !== 0) assert.ok(isAnotherWhole(chunk, one), "an unverified byte came out");
        seen += chunk.length;
      }
    } catch (error) {
      assert.ok(error instanceof ProtectedFileError, String(error));
      assert.ok(!same, `an undamaged file was refused: ${error.code}`);
    }
    assert.ok(performance.now() - start < MAX_MS, "it takes too long");
  }
}

function isAnotherWhole(chunk: Uint8Array, one: Case): boolean {
  return cases.some(
    ({ plaintext, options }) =>
      options.boundPath === one.options.boundPath && Buffer.compare(plaintext.subarray(0, chunk.length), chunk) === 0,
  );
}
