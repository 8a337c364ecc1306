import { ProtectedFileError } from "../errors.ts";
import { IV } from "../gcm.ts";
import { KEY_BYTES } from "../kdf.ts";
import { countNodes, type NodeCipher } from "../node-cipher.ts";
import { ENTRY_BYTES, NODE_BYTES } from "../tree.ts";
import type { Address, LibCrypto } from "./libcrypto.ts";

// One context for all nodes of a call, set to each node's key in turn: what takes a node's time in `node:crypto` is the object
// that it makes for each. A context lives as long as the call, which is synchronous, so that none is shared, none outlives its
// thread, and no key stays in one.
//
// OpenSSL learns no lengths of arrays. The only lengths it is told are those of a node, a key and a tag; `countNodes` has checked
// before the first call that entries, input and output have all of it for each node.

const ENCRYPT = 1;
const DECRYPT = 0;
/** EVP_CTRL_AEAD_GET_TAG and EVP_CTRL_AEAD_SET_TAG of openssl/evp.h. */
const GET_TAG = 0x10;
const SET_TAG = 0x11;
const BLOCK_BYTES = 16;

/** The cipher of nodes over OpenSSL's own interface. Its calls throw CIPHER_FAILED where OpenSSL refuses; output is zero then. */
export function opensslCipher(library: LibCrypto): NodeCipher {
  const cipher = library.fetchCipher(null, "AES-128-GCM", null);
  if (Number(cipher) === 0) throw new ProtectedFileError("CIPHER_FAILED");
  const written = new Int32Array(1);
  /** `final` writes nothing for GCM; this is where it could. */
  const noOutput = new Uint8Array(BLOCK_BYTES);

  const crypt = (context: Address, input: Uint8Array, output: Uint8Array): void => {
    check(library.update(context, output, written, input, NODE_BYTES));
    if (written[0] !== NODE_BYTES) throw new ProtectedFileError("CIPHER_FAILED");
  };

  const encryptNode = (context: Address, entry: Entry, input: Uint8Array, output: Uint8Array): boolean => {
    check(library.init(context, 0, null, entry.key, IV, ENCRYPT));
    crypt(context, input, output);
    check(library.final(context, noOutput, written));
    check(library.control(context, GET_TAG, KEY_BYTES, entry.tag));
    return true;
  };

  const decryptNode = (context: Address, entry: Entry, input: Uint8Array, output: Uint8Array): boolean => {
    check(library.init(context, 0, null, entry.key, IV, DECRYPT));
    check(library.control(context, SET_TAG, KEY_BYTES, entry.tag));
    crypt(context, input, output);
    return library.final(context, noOutput, written) === 1;
  };

  /** Whether `each` was true of every node; the output is zero otherwise, and where it throws. */
  const forEachNode = (
    each: typeof encryptNode,
    direction: number,
    entries: Uint8Array,
    input: Uint8Array,
    output: Uint8Array,
  ): boolean => {
    const count = countNodes(entries, input, output);
    const context = library.newContext();
    let isDone = false;
    try {
      if (Number(context) === 0) throw new ProtectedFileError("CIPHER_FAILED");
      check(library.init(context, cipher, null, null, null, direction));
      let node = 0;
      while (node < count && each(context, entryAt(entries, node), nodeAt(input, node), nodeAt(output, node)))
        node += 1;
      isDone = node === count;
      return isDone;
    } finally {
      library.freeContext(context);
      if (!isDone) {
        output.fill(0);
        // What failed is said by what this throws or gives; Node must not find it in the queue of this thread.
        library.clearErrors();
      }
    }
  };

  return {
    name: "openssl",
    encrypt: (entries, plaintext, ciphertext) => {
      forEachNode(encryptNode, ENCRYPT, entries, plaintext, ciphertext);
    },
    decrypt: (entries, ciphertext, plaintext) => forEachNode(decryptNode, DECRYPT, entries, ciphertext, plaintext),
  };
}

interface Entry {
  readonly key: Uint8Array;
  readonly tag: Uint8Array;
}

function entryAt(entries: Uint8Array, node: number): Entry {
  const at = node * ENTRY_BYTES;
  return { key: entries.subarray(at, at + KEY_BYTES), tag: entries.subarray(at + KEY_BYTES, at + ENTRY_BYTES) };
}

function nodeAt(nodes: Uint8Array, node: number): Uint8Array {
  return nodes.subarray(node * NODE_BYTES, (node + 1) * NODE_BYTES);
}

function check(status: number): void {
  if (status !== 1) throw new ProtectedFileError("CIPHER_FAILED");
}
