import { equalBytes, fromHex } from "@cloister/encoding";
import { checkAnchorTime, chooseAnchor } from "../chain/anchor.ts";
import { checkChainTime, parseChain, recallChain } from "../chain/chain.ts";
import { isProcessorCa } from "../chain/profile.ts";
import { checkCrlTime, CRL_ISSUER_ROLES, isRevoked, recallCrl } from "../chain/revocation.ts";
import type { Validity } from "../chain/validity.ts";
import type { Collateral } from "./collateral.ts";
import { readQeIdentity } from "../documents/qe-identity.ts";
import { readTcbInfo } from "../documents/tcb-info.ts";
import { verifyDocument } from "../documents/verified-document.ts";
import { refusal } from "../errors.ts";
import { Memory } from "../appraisal/memory.ts";
import { NodeCrypto } from "../appraisal/node-crypto.ts";
import type { QuotedPlatform } from "./quoted-platform.ts";
import type { Steps } from "../appraisal/steps.ts";
import type { TrustAnchor } from "../appraisal/trust-anchor.ts";

/** A revocation list or signed document of verified collateral. */
export interface CollateralItem {
  readonly name: "rootCaCrl" | "pckCrl" | "tcbInfo" | "qeIdentity";
  readonly issuedAt: Date;
  readonly nextUpdate: Date;
  /** CRL number or `tcbEvaluationDataNumber`: like the issue date, it never goes back at a service that is honest. */
  readonly number: bigint;
}

/** How fresh collateral is, over its revocation lists and signed documents. */
export interface CollateralState {
  readonly items: readonly CollateralItem[];
  /** SHA-256 of the root's certificate, lower-case hex. */
  readonly anchorSha256: string;
  readonly latestIssue: Date;
  readonly earliestExpiry: Date;
}

const MEMORY_ENTRIES = 64;

/**
 * Verifies collateral without a quote, as far as that goes: chains, revocation lists, signatures, dates, and that it is for
 * this kind of platform. For a cache, which must not store what a service makes up. Throws `AttestationError`.
 */
export function verifyCollateral(
  collateral: Collateral,
  platform: QuotedPlatform,
  anchors: readonly TrustAnchor[],
  time: Date,
): CollateralState {
  return new NodeCrypto().run(verifySteps(new Memory(MEMORY_ENTRIES), collateral, platform, anchors, time));
}

function* verifySteps(
  memory: Memory,
  collateral: Collateral,
  platform: QuotedPlatform,
  anchors: readonly TrustAnchor[],
  time: Date,
): Steps<CollateralState> {
  const served = parseChain("PCK_CRL_CHAIN", collateral.pckCrlIssuerChain);
  const anchor = yield* chooseAnchor(memory, anchors, served.at(-1));
  checkAnchorTime(anchor, time);
  const rootCrl = yield* recallCrl(memory, "ROOT_CRL", collateral.rootCaCrl, anchor.certificate);
  checkCrlTime(rootCrl, time);
  const chain = yield* recallChain(memory, "PCK_CRL_CHAIN", collateral.pckCrlIssuerChain, CRL_ISSUER_ROLES, anchor);
  checkChainTime("PCK_CRL_CHAIN", chain, time);
  const [ca] = chain;
  if (ca === undefined) throw refusal("PCK_CRL_CHAIN_LENGTH");
  if (isRevoked(ca, rootCrl)) throw refusal("PCK_CA_REVOKED");
  if (isProcessorCa(ca) !== (platform.pckCa === "processor")) throw refusal("PCK_CRL_ISSUER_MISMATCH");
  const pckCrl = yield* recallCrl(memory, "PCK_CRL", collateral.pckCrl, ca);
  checkCrlTime(pckCrl, time);

  const context = { memory, anchor, rootCrl, time };
  const { tcbInfo, tcbInfoIssuerChain, qeIdentity, qeIdentityIssuerChain } = collateral;
  const tcb = (yield* verifyDocument(context, "TCB_INFO", tcbInfo, tcbInfoIssuerChain, readTcbInfo)).document;
  const qe = (yield* verifyDocument(context, "QE_IDENTITY", qeIdentity, qeIdentityIssuerChain, readQeIdentity))
    .document;
  if (tcb.tee !== platform.tee) throw refusal("TCB_INFO_TEE_MISMATCH");
  if (qe.id !== (platform.tee === "sgx" ? "QE" : "TD_QE")) throw refusal("QE_IDENTITY_TEE_MISMATCH");
  if (!equalBytes(tcb.fmspc, fromHex(platform.fmspc) ?? new Uint8Array())) throw refusal("FMSPC_MISMATCH");

  const items = [
    item("rootCaCrl", rootCrl.validity, rootCrl.number),
    item("pckCrl", pckCrl.validity, pckCrl.number),
    item("tcbInfo", tcb.validity, tcb.evaluationDataNumber),
    item("qeIdentity", qe.validity, qe.evaluationDataNumber),
  ];
  return {
    items,
    anchorSha256: anchor.sha256,
    latestIssue: new Date(Math.max(...items.map(({ issuedAt }) => issuedAt.getTime()))),
    earliestExpiry: new Date(Math.min(...items.map(({ nextUpdate }) => nextUpdate.getTime()))),
  };
}

function item(name: CollateralItem["name"], { from, until }: Validity, number: number | bigint): CollateralItem {
  return { name, issuedAt: from, nextUpdate: until, number: BigInt(number) };
}
