import assert from "node:assert/strict";
import { createCipheriv } from "node:crypto";
import { suite, test } from "node:test";
import { type Address, type LibCrypto, loadLibCrypto } from "./libcrypto.ts";
import { opensslCipher } from "./openssl-cipher.ts";
import { throwsCode } from "./test-assert.ts";

const library = await loadLibCrypto();
const NODE_BYTES = 4096;

/** The library with some calls replaced; counts the contexts that are there. */
function watched(change: Partial<LibCrypto> = {}): LibCrypto & { readonly contexts: Set<Address> } {
  const contexts = new Set<Address>();
  return {
    ...library,
    newContext: () => {
      const context = library.newContext();
      contexts.add(context);
      return context;
    },
    freeContext: (context) => {
      contexts.delete(context);
      library.freeContext(context);
    },
    ...change,
    contexts,
  };
}

function threeNodes(): { entries: Uint8Array; nodes: Uint8Array } {
  return { entries: new Uint8Array(96).fill(3), nodes: new Uint8Array(3 * NODE_BYTES).fill(5) };
}

/** Refuses from the call of this number on. */
function refuseFrom<Args extends readonly unknown[]>(
  call: (...args: Args) => number,
  from: number,
): (...args: Args) => number {
  let count = 0;
  return (...args) => {
    count += 1;
    return count < from ? call(...args) : 0;
  };
}

suite("OpenSSL's interface", () => {
  for (const name of ["init", "update", "final", "control"] as const) {
    for (const from of [1, 3]) {
      test(`a refusal of ${name} at its call ${from} ends an encryption, wipes the output and frees the context`, () => {
        const broken = watched({ [name]: refuseFrom(library[name] as (...args: unknown[]) => number, from) });
        const { entries, nodes } = threeNodes();
        throwsCode(() => {
          opensslCipher(broken).encrypt(entries, nodes, nodes);
        }, "CIPHER_FAILED");
        assert.ok(nodes.every((byte) => byte === 0));
        assert.equal(broken.contexts.size, 0);
      });

      test(`a refusal of ${name} at its call ${from} gives no plaintext and frees the context`, () => {
        const { entries, nodes } = threeNodes();
        opensslCipher(library).encrypt(entries, nodes, nodes);
        const broken = watched({ [name]: refuseFrom(library[name] as (...args: unknown[]) => number, from) });
        const open = (): boolean => opensslCipher(broken).decrypt(entries, nodes, nodes);
        if (name === "final") assert.equal(open(), false);
        else throwsCode(open, "CIPHER_FAILED");
        assert.ok(nodes.every((byte) => byte === 0));
        assert.equal(broken.contexts.size, 0);
      });
    }
  }

  test("an update that writes another length than a node ends the work", () => {
    const short = watched({
      update: (context, output, outputBytes, input) => library.update(context, output, outputBytes, input, 4080),
    });
    const { entries, nodes } = threeNodes();
    throwsCode(() => {
      opensslCipher(short).encrypt(entries, nodes, nodes);
    }, "CIPHER_FAILED");
    assert.ok(nodes.every((byte) => byte === 0));
  });

  test("a cipher or a context that cannot be had ends the work", () => {
    throwsCode(() => opensslCipher({ ...library, fetchCipher: () => 0 }), "CIPHER_FAILED");
    const { entries, nodes } = threeNodes();
    throwsCode(() => {
      opensslCipher({ ...library, newContext: () => 0 }).encrypt(entries, nodes, nodes);
    }, "CIPHER_FAILED");
  });

  test("no context is left by work that is done, refused or of no node", () => {
    const counted = watched();
    const cipher = opensslCipher(counted);
    const { entries, nodes } = threeNodes();
    cipher.encrypt(entries, nodes, nodes);
    assert.ok(cipher.decrypt(entries, nodes, nodes.slice()));
    nodes[0] = (nodes[0] ?? 0) ^ 1;
    assert.equal(cipher.decrypt(entries, nodes, nodes), false);
    cipher.encrypt(new Uint8Array(), new Uint8Array(), new Uint8Array());
    assert.equal(counted.contexts.size, 0);
  });

  test("a refusal leaves nothing behind that Node's own crypto trips over", () => {
    const { entries, nodes } = threeNodes();
    assert.equal(opensslCipher(library).decrypt(entries, nodes, nodes), false);
    const node = createCipheriv("aes-128-gcm", new Uint8Array(16), new Uint8Array(12));
    assert.equal(node.update(new Uint8Array(16)).toString("hex"), "0388dace60b6a392f328c2b971b2fe78");
  });
});
