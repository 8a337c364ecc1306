import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type NodeCipher, nodeCryptoCipher } from "../node-cipher.ts";
import { choose, chooseNodeCipher } from "./choose-cipher.ts";
import { rejectsCode } from "./test-assert.ts";
import { CIPHERS } from "./test-ciphers.ts";

const refusing = (): Promise<NodeCipher> => Promise.reject(new Error("Cannot find package 'koffi'\nRequire stack"));

/** The fast cipher but for one call. */
function changed(change: Partial<NodeCipher>): () => Promise<NodeCipher> {
  return () => Promise.resolve({ ...nodeCryptoCipher, name: "openssl", ...change });
}

suite("the cipher of nodes", () => {
  test("is OpenSSL's own interface where Node has koffi", async () => {
    const { cipher, reason } = await chooseNodeCipher();
    assert.deepEqual([cipher.name, reason], ["openssl", undefined]);
    assert.deepEqual(CIPHERS.map(({ name }) => name).sort(), ["node:crypto", "openssl"]);
  });

  test("is node:crypto where the variable asks for it", async () => {
    const { cipher, reason } = await choose("node:crypto", changed({}));
    assert.equal(cipher, nodeCryptoCipher);
    assert.equal(reason, "CLOISTER_NODE_CIPHER asks for it");
  });

  test("is node:crypto, with the reason, where koffi or the symbols are missing", async () => {
    const { cipher, reason } = await choose(undefined, refusing);
    assert.equal(cipher, nodeCryptoCipher);
    assert.equal(reason, "OpenSSL cannot be called: Cannot find package 'koffi'");
  });

  test("is refused where the variable asks for OpenSSL and it is not to be had, or for what does not exist", async () => {
    await rejectsCode(choose("openssl", refusing), "CIPHER_UNAVAILABLE");
    await rejectsCode(choose("aes", changed({})), "CIPHER_UNAVAILABLE");
    assert.equal((await choose("openssl", changed({}))).cipher.name, "openssl");
  });

  const { encrypt, decrypt }: Omit<NodeCipher, "name"> = nodeCryptoCipher;
  const faults: Readonly<Record<string, Partial<NodeCipher>>> = {
    "encrypts nothing": { encrypt: () => undefined },
    "takes the first key for all nodes": {
      encrypt: (entries, plaintext, ciphertext) => {
        const first = entries.slice(0, 16);
        for (let at = 0; at < entries.length; at += 32) entries.set(first, at);
        encrypt(entries, plaintext, ciphertext);
      },
    },
    "gives no tags": {
      encrypt: (entries, plaintext, ciphertext) => {
        encrypt(entries.slice(), plaintext, ciphertext);
      },
    },
    "accepts every tag": {
      decrypt: (entries, ciphertext, plaintext) => {
        decrypt(entries, ciphertext, plaintext);
        return true;
      },
    },
    "refuses every tag": { decrypt: () => false },
    "leaves what it refused": {
      decrypt: (entries, ciphertext, plaintext) => {
        const out = plaintext.slice();
        if (decrypt(entries, ciphertext, out)) plaintext.set(out);
        return out.some((byte) => byte !== 0) || entries.at(-1) === 95;
      },
    },
    throws: {
      encrypt: () => {
        throw new Error("its interface is broken");
      },
    },
  };
  for (const [name, fault] of Object.entries(faults)) {
    test(`is node:crypto where the fast one ${name}`, async () => {
      const { cipher, reason } = await choose(undefined, changed(fault));
      assert.equal(cipher, nodeCryptoCipher);
      assert.match(reason ?? "", /^OpenSSL cannot be called: its interface /);
    });
  }
});
