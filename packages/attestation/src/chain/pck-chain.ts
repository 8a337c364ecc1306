import type { Certificate } from "@cloister/encoding/x509";
import { refusal } from "../errors.ts";
import type { Memory } from "../appraisal/memory.ts";
import type { Steps } from "../appraisal/steps.ts";
import type { LoadedAnchor } from "./anchor.ts";
import { verifyChain } from "./chain.ts";
import { readPckExtension, type PckExtension } from "./pck-extension.ts";
import { isProcessorCa, type Role } from "./profile.ts";

/** The verified PCK chain of a quote. */
export interface PckChain {
  readonly chain: readonly Certificate[];
  readonly leaf: Certificate;
  readonly ca: Certificate;
  readonly extension: PckExtension;
}

const PCK_ROLES: readonly Role[] = ["pck", "pck-ca", "root"];

/** Verifies the certificates of `text`, the chain as a quote carries it. Throws `AttestationError` PCK_CHAIN_ and PCK_EXTENSION_. */
export function* recallPckChain(
  memory: Memory,
  text: Uint8Array,
  chain: readonly Certificate[],
  anchor: LoadedAnchor,
): Steps<PckChain> {
  const inputs = [text, anchor.certificate.raw];
  return yield* memory.recall("pck-chain", inputs, () => verifyPckChain(memory, chain, anchor));
}

function* verifyPckChain(memory: Memory, chain: readonly Certificate[], anchor: LoadedAnchor): Steps<PckChain> {
  yield* verifyChain(memory, "PCK_CHAIN", chain, PCK_ROLES, anchor);
  const [leaf, ca] = chain;
  if (leaf === undefined || ca === undefined) throw refusal("PCK_CHAIN_LENGTH");
  const extension = readPckExtension(leaf);
  // Two items exist in certificates of the Platform CA, and in all of them.
  if ((extension.flags === undefined) !== isProcessorCa(ca)) throw refusal("PCK_EXTENSION_MALFORMED");
  return { chain, leaf, ca, extension };
}
