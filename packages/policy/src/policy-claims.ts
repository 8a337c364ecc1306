import type { VerifiedClaims } from "@cloister/attestation";
import { toHex, utf8 } from "@cloister/encoding";
import { canonicalJson } from "@cloister/encoding/canonical-json";
import { sha256 } from "@cloister/encoding/sha256";

/**
 * The part of the claims that policies look at, as plain JSON: it is hashed, kept in the release log and replayed under
 * other policies. A type alias, so that it is assignable to JSON objects.
 */
export type PolicyClaims = {
  readonly tee: "sgx" | "tdx";
  readonly simulated: boolean;
  readonly anchorSha256: string;
  /** Address of the attestation service that vouches; null where the broker verified the quote itself. */
  readonly service: string | null;
  readonly debug: boolean;
  readonly sgx: {
    readonly mrenclave: string;
    readonly mrsigner: string;
    readonly isvProdId: number;
    readonly isvSvn: number;
  } | null;
  readonly tdx: { readonly mrtd: string; readonly rtmrs: readonly string[] } | null;
  readonly tcbStatus: string;
  readonly advisoryIds: readonly string[];
  readonly evaluationDataNumber: number;
  /** RFC 3339; of the oldest collateral that the verdict rests on. */
  readonly earliestIssue: string;
  readonly earliestExpiry: string;
  readonly fmspc: string;
  readonly ppid: string;
};

/** Picks out of verified claims what a policy can ask about. */
export function toPolicyClaims(claims: VerifiedClaims): PolicyClaims {
  const { sgx, tdx, tcb, dates, platform } = claims;
  return {
    tee: claims.tee,
    simulated: claims.simulated,
    anchorSha256: claims.anchorSha256.toLowerCase(),
    service: claims.verifier === "maa" ? claims.anchor : null,
    debug: claims.debug,
    sgx:
      sgx === undefined
        ? null
        : {
            mrenclave: toHex(sgx.mrenclave),
            mrsigner: toHex(sgx.mrsigner),
            isvProdId: sgx.isvProdId,
            isvSvn: sgx.isvSvn,
          },
    tdx: tdx === undefined ? null : { mrtd: toHex(tdx.mrTd), rtmrs: tdx.rtmrs.map(toHex) },
    tcbStatus: tcb.status,
    advisoryIds: tcb.advisoryIds,
    evaluationDataNumber: tcb.evaluationDataNumber,
    earliestIssue: dates.earliestIssue.toISOString(),
    earliestExpiry: dates.earliestExpiry.toISOString(),
    fmspc: toHex(platform.fmspc),
    ppid: toHex(platform.ppid),
  };
}

/** Lower-case hex SHA-256 of the canonical JSON of the claims. */
export function policyClaimsSha256(claims: PolicyClaims): string {
  return toHex(sha256(utf8(canonicalJson(claims))));
}
