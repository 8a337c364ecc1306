import { readFileSync } from "node:fs";
import { parsePem } from "@cloister/encoding/pem";
import { appraise } from "../../appraisal/appraise.ts";
import type { VerifiedClaims } from "../../appraisal/claims.ts";
import type { Collateral } from "../../collateral/collateral.ts";
import { AttestationError, type AttestationErrorCode } from "../../errors.ts";
import { INTEL_ROOT, type TrustAnchor } from "../../appraisal/trust-anchor.ts";

const FOLDER = new URL("../../../vectors/dcap/", import.meta.url);

interface Index {
  readonly bundles: Readonly<Record<string, { kind: string; files: Readonly<Record<string, { path: string }>> }>>;
  readonly cases: readonly { id: string; bundle: string; time: number; expect: VectorExpectation }[];
}

/** What a case says about a verified result. */
export interface VectorExpectation {
  readonly platformTcbStatus?: string;
  readonly qeTcbStatus?: string;
  readonly tdxModuleTcbStatus?: string;
  readonly tcbDate?: string;
  readonly tcbEvaluationDataNumber?: number;
  readonly debug?: boolean;
}

/** The arguments of an appraisal, from a case of the vectors that has no patch. */
export interface DcapBundle {
  readonly quote: Uint8Array;
  readonly collateral: Collateral;
  readonly anchors: readonly TrustAnchor[];
  readonly time: Date;
  readonly expect: VectorExpectation;
}

const index = JSON.parse(readFileSync(new URL("index.json", FOLDER), "utf8")) as Index;

export function loadCase(id: string): DcapBundle {
  const found = index.cases.find((candidate) => candidate.id === id);
  const bundle = found && index.bundles[found.bundle];
  if (found === undefined || bundle === undefined) throw new TypeError(`no case ${id}`);
  const file = (role: string): Uint8Array => {
    return new Uint8Array(readFileSync(new URL(bundle.files[role]?.path ?? "missing", FOLDER)));
  };
  const text = (role: string): string => Buffer.from(file(role)).toString("latin1");
  const [certificate = new Uint8Array()] = parsePem(text("root_ca"), "CERTIFICATE");
  const collateral = {
    tcbInfo: file("tcb_info"),
    tcbInfoIssuerChain: text("tcb_info_issuer_chain"),
    qeIdentity: file("qe_identity"),
    qeIdentityIssuerChain: text("qe_identity_issuer_chain"),
    rootCaCrl: file("root_ca_crl"),
    pckCrl: file("pck_crl"),
    pckCrlIssuerChain: text("pck_crl_issuer_chain"),
  };
  const simulated: TrustAnchor = { name: "vector root", kind: "simulated", certificate };
  const anchors = [bundle.kind === "real" ? INTEL_ROOT : simulated];
  return { quote: file("quote"), collateral, anchors, time: new Date(found.time * 1000), expect: found.expect };
}

/** Ids of the cases that must verify. */
export const VERIFIED_CASES: readonly string[] = index.cases
  .filter(({ expect }) => expect.platformTcbStatus !== undefined)
  .map(({ id }) => id);

export function appraiseBundle(bundle: DcapBundle): VerifiedClaims {
  return appraise({ quote: bundle.quote }, bundle.collateral, bundle.anchors, bundle.time);
}

/** The code with which a call is refused, or "accepted". Anything that is not a typed refusal is thrown on. */
export function outcomeOf(call: () => unknown): AttestationErrorCode | "accepted" {
  try {
    call();
    return "accepted";
  } catch (error) {
    if (error instanceof AttestationError) return error.code;
    throw error;
  }
}
