import { fromUtf8, toHex } from "@cloister/encoding";
import { parseChain } from "../chain/chain.ts";
import { readPckExtension } from "../chain/pck-extension.ts";
import { isProcessorCa } from "../chain/profile.ts";
import { refusal } from "../errors.ts";
import { parseQuote } from "../quote/quote.ts";

/** What a collateral service wants to know about a platform. */
export interface QuotedPlatform {
  readonly tee: "sgx" | "tdx";
  /** 12 lower-case hex digits. */
  readonly fmspc: string;
  readonly pckCa: "platform" | "processor";
}

/**
 * The kind of platform that a quote says it is from. Nothing is verified: good for asking for collateral, and for nothing
 * else. Throws `AttestationError` as `appraise` does for a quote or a PCK chain that cannot be read.
 */
export function quotedPlatform(quote: Uint8Array): QuotedPlatform {
  const { body, signatureData } = parseQuote(quote);
  const text = fromUtf8(signatureData.pckChain)?.replace(/\0$/, "") ?? "";
  const [leaf, ca] = parseChain("PCK_CHAIN", text);
  if (leaf === undefined || ca === undefined) throw refusal("PCK_CHAIN_LENGTH");
  const { fmspc } = readPckExtension(leaf);
  return { tee: body.tee, fmspc: toHex(fmspc), pckCa: isProcessorCa(ca) ? "processor" : "platform" };
}
