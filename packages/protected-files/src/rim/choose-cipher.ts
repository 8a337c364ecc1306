import { ProtectedFileError } from "../errors.ts";
import { type NodeCipher, nodeCryptoCipher } from "../node-cipher.ts";
import { ENTRY_BYTES, NODE_BYTES } from "../tree.ts";
import { loadLibCrypto } from "./libcrypto.ts";
import { opensslCipher } from "./openssl-cipher.ts";

/**
 * The variable that names the cipher to use: `node:crypto`, or `openssl`, which is then not replaced where it cannot be had.
 * Default: `openssl` where it can be had.
 */
export const CIPHER_VARIABLE = "CLOISTER_NODE_CIPHER";

export interface ChosenCipher {
  readonly cipher: NodeCipher;
  /** Why it is not the fast one; `undefined` where it is. */
  readonly reason: string | undefined;
}

let chosen: Promise<ChosenCipher> | undefined;

/** The fastest cipher of nodes that works here, chosen once in each thread. Rejects with CIPHER_UNAVAILABLE. */
export async function nodeCipher(): Promise<NodeCipher> {
  return (await chooseNodeCipher()).cipher;
}

/** As `nodeCipher`, with the reason of the choice. */
export function chooseNodeCipher(): Promise<ChosenCipher> {
  return (chosen ??= choose(process.env[CIPHER_VARIABLE]));
}

/** What is chosen where `asked` is the value of the variable, and `load` gives the fast cipher or rejects. */
export async function choose(asked: string | undefined, load = loadOpensslCipher): Promise<ChosenCipher> {
  if (asked === nodeCryptoCipher.name) {
    return { cipher: nodeCryptoCipher, reason: `${CIPHER_VARIABLE} asks for it` };
  }
  if (asked !== undefined && asked !== "openssl") throw new ProtectedFileError("CIPHER_UNAVAILABLE");
  try {
    const cipher = await load();
    if (!passesSelfTest(cipher)) throw new Error("its interface fails the self-test");
    return { cipher, reason: undefined };
  } catch (cause) {
    if (asked !== undefined) throw new ProtectedFileError("CIPHER_UNAVAILABLE", { cause });
    const why = cause instanceof Error ? cause.message : String(cause);
    return { cipher: nodeCryptoCipher, reason: `OpenSSL cannot be called: ${why.split("\n")[0] ?? ""}` };
  }
}

async function loadOpensslCipher(): Promise<NodeCipher> {
  return opensslCipher(await loadLibCrypto());
}

/** First block of AES-128-GCM of zeros under a key and IV of zeros: test case 2 of McGrew and Viega's specification of GCM. */
const KNOWN_BLOCK = "0388dace60b6a392f328c2b971b2fe78";
const TEST_NODES = 3;

/**
 * Whether a cipher gives a known answer, gives for several keys what `node:crypto` gives, opens it again, and refuses it with a
 * changed tag.
 */
function passesSelfTest(cipher: NodeCipher): boolean {
  const plaintext = new Uint8Array(TEST_NODES * NODE_BYTES);
  const entries = Uint8Array.from({ length: TEST_NODES * ENTRY_BYTES }, (_, at) => (at < ENTRY_BYTES ? 0 : at));
  const expected = { entries: entries.slice(), nodes: new Uint8Array(plaintext.length) };
  nodeCryptoCipher.encrypt(expected.entries, plaintext, expected.nodes);
  const nodes = new Uint8Array(plaintext.length);
  cipher.encrypt(entries, plaintext, nodes);
  if (!Buffer.from(nodes).toString("hex").startsWith(KNOWN_BLOCK)) return false;
  if (!isSame(nodes, expected.nodes) || !isSame(entries, expected.entries)) return false;
  const back = nodes.slice();
  if (!cipher.decrypt(entries, back, back) || !isSame(back, plaintext)) return false;
  entries[entries.length - 1] = (entries.at(-1) ?? 0) ^ 1;
  const refused = nodes.slice();
  return !cipher.decrypt(entries, refused, refused) && isSame(refused, plaintext);
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}
