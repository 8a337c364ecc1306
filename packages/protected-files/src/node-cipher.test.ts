import assert from "node:assert/strict";
import { createCipheriv, randomBytes } from "node:crypto";
import { suite, test } from "node:test";
import * as fc from "fast-check";
import type { NodeCipher } from "./node-cipher.ts";
import { forEachCipher } from "./rim/test-ciphers.ts";
import { ENTRY_BYTES, NODE_BYTES } from "./tree.ts";

/** Entries with random keys and no tags yet. */
function freshEntries(count: number): Uint8Array {
  const entries = new Uint8Array(randomBytes(count * ENTRY_BYTES));
  for (let at = 0; at < entries.length; at += ENTRY_BYTES) entries.fill(0, at + 16, at + ENTRY_BYTES);
  return entries;
}

function encrypted(cipher: NodeCipher, plaintext: Uint8Array): { entries: Uint8Array; nodes: Uint8Array } {
  const [entries, nodes] = [freshEntries(plaintext.length / NODE_BYTES), new Uint8Array(plaintext.length)];
  cipher.encrypt(entries, plaintext, nodes);
  return { entries, nodes };
}

forEachCipher((cipher) => {
  suite("nodes", () => {
    const counts = fc.oneof(fc.nat(4), fc.constantFrom(95, 96, 97));

    test("are AES-128-GCM under the key of each entry, wherever in a buffer they lie", () => {
      fc.assert(
        fc.property(counts, fc.nat(40), (count, offset) => {
          const memory = new Uint8Array(randomBytes(offset + count * NODE_BYTES));
          const plaintext = memory.subarray(offset);
          const { entries, nodes } = encrypted(cipher, plaintext);
          for (let node = 0; node < count; node += 1) {
            const entry = entries.subarray(node * ENTRY_BYTES, (node + 1) * ENTRY_BYTES);
            const [from, to] = [node * NODE_BYTES, (node + 1) * NODE_BYTES];
            const reference = createCipheriv("aes-128-gcm", entry.subarray(0, 16), new Uint8Array(12));
            assert.equal(Buffer.compare(nodes.subarray(from, to), reference.update(plaintext.subarray(from, to))), 0);
            reference.final();
            assert.deepEqual(Buffer.from(entry.subarray(16)), reference.getAuthTag());
          }
          const back = new Uint8Array(nodes.length);
          assert.ok(cipher.decrypt(entries, nodes, back));
          assert.equal(Buffer.compare(back, plaintext), 0);
        }),
        { numRuns: 20 },
      );
    });

    test("are encrypted and decrypted where they lie", () => {
      const plaintext = new Uint8Array(randomBytes(5 * NODE_BYTES));
      const [entries, nodes] = [freshEntries(5), plaintext.slice()];
      cipher.encrypt(entries, nodes, nodes);
      assert.notEqual(Buffer.compare(nodes, plaintext), 0);
      assert.ok(cipher.decrypt(entries, nodes, nodes));
      assert.equal(Buffer.compare(nodes, plaintext), 0);
    });

    test("with one changed bit, of key, tag or ciphertext, are refused and leave nothing but zeros", () => {
      const plaintext = new Uint8Array(3 * NODE_BYTES).fill(7);
      const sealed = encrypted(cipher, plaintext);
      fc.assert(
        fc.property(
          fc.constantFrom("entries" as const, "nodes" as const),
          fc.nat(3 * NODE_BYTES - 1),
          fc.nat(7),
          (part, at, bit) => {
            const damaged = { entries: sealed.entries.slice(), nodes: sealed.nodes.slice() };
            const bytes = damaged[part];
            bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ (1 << bit);
            const out = new Uint8Array(plaintext.length).fill(9);
            assert.equal(cipher.decrypt(damaged.entries, damaged.nodes, out), false);
            assert.ok(out.every((byte) => byte === 0));
            assert.equal(cipher.decrypt(damaged.entries, damaged.nodes, damaged.nodes), false, "in place");
            assert.ok(damaged.nodes.every((byte) => byte === 0));
          },
        ),
        { numRuns: 60 },
      );
      assert.ok(cipher.decrypt(sealed.entries, sealed.nodes, new Uint8Array(plaintext.length)), "after refusals");
    });

    test("are refused before anything is touched where the lengths do not fit", () => {
      const sizes = fc.nat(3 * NODE_BYTES + 1);
      const near = fc.constantFrom(0, 1, 31, 32, 33, 64, 4095, 4096, 4097, 8192);
      const length = fc.oneof(sizes, near);
      fc.assert(
        fc.property(length, length, length, (entriesBytes, inputBytes, outputBytes) => {
          const fits = inputBytes % 4096 === 0 && outputBytes === inputBytes && entriesBytes === inputBytes / 128;
          fc.pre(!fits);
          const [entries, output] = [new Uint8Array(entriesBytes).fill(1), new Uint8Array(outputBytes).fill(1)];
          const input = new Uint8Array(inputBytes);
          assert.throws(() => {
            cipher.encrypt(entries, input, output);
          }, RangeError);
          assert.throws(() => cipher.decrypt(entries, input, output), RangeError);
          assert.ok(entries.every((byte) => byte === 1) && output.every((byte) => byte === 1));
        }),
      );
    });

    test("are refused where the output overlaps in part with the input, or with the entries", () => {
      const memory = new Uint8Array(2 * NODE_BYTES);
      const node = memory.subarray(100, 100 + NODE_BYTES);
      for (const from of [0, 99, 101, 99 + NODE_BYTES]) {
        const output = memory.subarray(from, from + NODE_BYTES);
        assert.throws(() => {
          cipher.encrypt(new Uint8Array(ENTRY_BYTES), node, output);
        }, RangeError);
      }
      assert.throws(() => {
        cipher.encrypt(memory.subarray(100 + NODE_BYTES - 1, 100 + NODE_BYTES - 1 + ENTRY_BYTES), node, node);
      }, RangeError);
      cipher.encrypt(memory.subarray(100 + NODE_BYTES, 100 + NODE_BYTES + ENTRY_BYTES), node, node);
    });

    test("in an array whose memory was given away are refused", () => {
      const sealed = encrypted(cipher, new Uint8Array(NODE_BYTES));
      structuredClone(undefined, { transfer: [sealed.nodes.buffer as ArrayBuffer] });
      assert.throws(() => cipher.decrypt(sealed.entries, sealed.nodes, new Uint8Array(NODE_BYTES)), RangeError);
    });
  });
});
