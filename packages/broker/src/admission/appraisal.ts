import { AttestationError } from "@cloister/attestation";
import {
  parseRaTlsCertificate,
  type RaTlsAppraisalOptions,
  type RaTlsEvidence,
  type RaTlsKeyType,
  type VerifiedPeer,
} from "@cloister/attestation/ra-tls";
import { equalBytes } from "@cloister/encoding";
import { type Allowed, evaluate, isServiceRule, type Policy, type ServiceRule } from "@cloister/policy";
import type { Appraise, AskService, BrokerOptions } from "../options.ts";
import { denied, orRefuse, Refusal } from "./refusal.ts";

const MS_PER_SECOND = 1000;

/** A policy with the digest that names it in the log. */
export interface ActivePolicy {
  readonly policy: Policy;
  readonly sha256: string;
}

export interface AppraisalContext extends Pick<BrokerOptions, "collateral"> {
  readonly appraise: Appraise;
  readonly askService: AskService;
  readonly clock: () => Date;
  readonly currentPolicy: () => ActivePolicy;
}

/** What a peer shows. */
export interface Presentation {
  readonly certificate: Uint8Array | undefined;
  /** Over the native protocol: evidence has to be for this channel and this key, and all secrets go out as they are. */
  readonly native?: {
    readonly binding: Uint8Array;
    /** SubjectPublicKeyInfo of the certificate request. */
    readonly csrSpki: Uint8Array | undefined;
  };
}

/** The verified peer with what its certificate says about itself. */
export interface Presented {
  readonly peer: VerifiedPeer;
  readonly notBefore: Date;
  readonly keyType: RaTlsKeyType;
}

/** Who verifies: this broker, or an attestation service that the policy names. */
export type VerifierChoice = "own" | ServiceRule;

/** Every verifier whose claims some workload takes, our own first. A policy without workloads gets claims to refuse, too. */
export function verifiersFor({ workloads }: Policy): readonly VerifierChoice[] {
  const platforms = workloads.flatMap((workload) => workload.platforms);
  const services = new Map(platforms.filter(isServiceRule).map((rule) => [`${rule.kind} ${rule.url}`, rule]));
  const isOwnAsked = services.size === 0 || platforms.some((platform) => !isServiceRule(platform));
  return [...(isOwnAsked ? (["own"] as const) : []), ...services.values()];
}

/** Verifies what a peer shows. Throws a refusal, or the error of the verifier. */
export async function appraisePeer(
  { certificate, native }: Presentation,
  verifier: VerifierChoice,
  context: AppraisalContext,
): Promise<Presented> {
  if (certificate === undefined) throw new Refusal(["CERTIFICATE_MISSING"]);
  const evidence = await orRefuse("INTERNAL_ERROR", () => parseRaTlsCertificate(certificate));
  if (native?.csrSpki !== undefined && !equalBytes(native.csrSpki, evidence.spki)) {
    throw new Refusal(["CSR_KEY_MISMATCH"]);
  }
  const { policy } = context.currentPolicy();
  // Whether the workload that matches allows it is decided after the claims are known.
  const allowLegacyRsa = policy.workloads.some((workload) => workload.certificate.allowLegacyRsa);
  const options = { allowLegacyRsa, ...(native !== undefined && { nonce: native.binding }) };
  const peer = await verify(evidence, verifier, options, context);
  return { peer, notBefore: evidence.certificate.notBefore, keyType: evidence.keyType };
}

async function verify(
  evidence: RaTlsEvidence,
  verifier: VerifierChoice,
  options: RaTlsAppraisalOptions,
  { collateral, appraise, askService, clock }: AppraisalContext,
): Promise<VerifiedPeer> {
  try {
    if (verifier !== "own") return await askService(verifier, evidence, clock(), options);
    const quote = evidence.evidence?.quote ?? evidence.legacyQuote;
    if (quote === undefined) throw new Refusal(["RA_TLS_EVIDENCE_MISSING"]);
    const served = await orRefuse("COLLATERAL_UNAVAILABLE", () => collateral(quote));
    return await appraise(evidence, served, clock(), options);
  } catch (error) {
    // Evidence that was made for another channel has a code of its own: somebody replays it.
    const isReplay = error instanceof AttestationError && error.code === "RA_TLS_NONCE_MISMATCH";
    throw isReplay ? new Refusal(["CHANNEL_BINDING_MISMATCH"], [], error) : error;
  }
}

/** The policy over the claims, then the workload's conditions on the certificate. Throws a refusal. */
export function decide(policy: Policy, { peer, notBefore, keyType }: Presented, at: Date): Allowed {
  const decision = evaluate(policy, peer.claims, at);
  if (!decision.allowed) throw denied(decision.denials);
  const rule = decision.conditions.certificate;
  if (keyType === "rsa3072" && !rule.allowLegacyRsa) throw new Refusal(["RA_TLS_KEY_NOT_ALLOWED"]);
  const ageMs = at.getTime() - notBefore.getTime();
  // Not `>`: an age that is not a number is too old.
  const isFresh = rule.maximumAgeSeconds === null || ageMs <= rule.maximumAgeSeconds * MS_PER_SECOND;
  if (!isFresh) throw new Refusal(["CERTIFICATE_TOO_OLD"]);
  return decision;
}
