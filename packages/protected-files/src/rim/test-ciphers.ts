import { suite } from "node:test";
import { type NodeCipher, nodeCryptoCipher } from "../node-cipher.ts";
import { loadLibCrypto } from "./libcrypto.ts";
import { opensslCipher } from "./openssl-cipher.ts";

/** Every implementation. Without koffi, which npm installs, this fails, so that no run passes that left one out. */
export const CIPHERS: readonly NodeCipher[] = [nodeCryptoCipher, opensslCipher(await loadLibCrypto())];

/** The same tests with each implementation, in a suite of its name. */
export function forEachCipher(tests: (cipher: NodeCipher) => void): void {
  for (const cipher of CIPHERS) {
    void suite(`with ${cipher.name}`, () => {
      tests(cipher);
    });
  }
}
