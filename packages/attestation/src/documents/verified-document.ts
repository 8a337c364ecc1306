import type { Certificate } from "@cloister/encoding/x509";
import type { ChainName, DocumentName } from "../appraisal/appraisal-codes.ts";
import type { LoadedAnchor } from "../chain/anchor.ts";
import { checkChainTime, recallChain } from "../chain/chain.ts";
import type { Role } from "../chain/profile.ts";
import { isRevoked, type VerifiedCrl } from "../chain/revocation.ts";
import { refusal } from "../errors.ts";
import type { Memory } from "../appraisal/memory.ts";
import type { Steps } from "../appraisal/steps.ts";
import type { Fields } from "./fields.ts";
import { checkDocumentTime, recallDocument, type DocumentDates } from "./signed-document.ts";

const SIGNER_ROLES: readonly Role[] = ["tcb-signer", "root"];

/** A verified document with the chain of its signer. */
export interface VerifiedDocument<T> {
  readonly document: T;
  readonly chain: readonly Certificate[];
}

/** What the check of a signed document needs beside it. */
export interface Context {
  readonly memory: Memory;
  readonly anchor: LoadedAnchor;
  readonly rootCrl: VerifiedCrl;
  readonly time: Date;
}

/** A signed document with its signer: chain, dates, revocation, signature, schema (dcap.md C.5, step 6). */
export function* verifyDocument<T extends DocumentDates>(
  { memory, anchor, rootCrl, time }: Context,
  name: DocumentName,
  bytes: Uint8Array,
  issuerChain: string,
  read: (body: Fields) => T,
): Steps<VerifiedDocument<T>> {
  const chainName: ChainName = `${name}_CHAIN`;
  const chain = yield* recallChain(memory, chainName, issuerChain, SIGNER_ROLES, anchor);
  checkChainTime(chainName, chain, time);
  const [signer] = chain;
  if (signer === undefined) throw refusal(`${chainName}_LENGTH`);
  if (isRevoked(signer, rootCrl)) throw refusal("TCB_SIGNER_REVOKED");
  const document = yield* recallDocument(memory, name, bytes, signer, read);
  checkDocumentTime(name, document, time);
  return { document, chain };
}
