import type { Denial, DenialCode } from "./decision.ts";
import type { Identity, SgxIdentity, TdxIdentity } from "./policy.ts";
import type { PolicyClaims } from "./policy-claims.ts";

/** Denials of one identity: none where it matches. `rule` is its path in the policy. */
export function checkIdentity(identity: Identity, claims: PolicyClaims, rule: string): Denial[] {
  if (identity.tee === "sgx") {
    return claims.sgx === null ? [wrongTee("sgx", claims, rule)] : checkSgx(identity, claims.sgx, rule);
  }
  return claims.tdx === null ? [wrongTee("tdx", claims, rule)] : checkTdx(identity, claims.tdx, rule);
}

function wrongTee(expected: string, claims: PolicyClaims, rule: string): Denial {
  return { code: "MEASUREMENT_NOT_ALLOWED", rule: `${rule}.tee`, claim: "tee", expected, got: claims.tee };
}

/** A denial unless what was got is what the policy names; null in the policy asks for nothing. */
function equal(
  code: DenialCode,
  rule: string,
  claim: string,
  expected: string | number | null,
  got: string | number,
): Denial[] {
  return expected === null || expected === got
    ? []
    : [{ code, rule: `${rule}.${claim}`, claim, expected: String(expected), got: String(got) }];
}

function checkSgx(identity: SgxIdentity, sgx: NonNullable<PolicyClaims["sgx"]>, rule: string): Denial[] {
  const { minimumIsvSvn } = identity;
  const svn: Denial[] =
    minimumIsvSvn === null || sgx.isvSvn >= minimumIsvSvn
      ? []
      : [
          {
            code: "SVN_TOO_LOW",
            rule: `${rule}.minimumIsvSvn`,
            claim: "isvSvn",
            expected: `at least ${minimumIsvSvn}`,
            got: String(sgx.isvSvn),
          },
        ];
  return [
    ...equal("MEASUREMENT_NOT_ALLOWED", rule, "mrenclave", identity.mrenclave, sgx.mrenclave),
    ...equal("SIGNER_NOT_ALLOWED", rule, "mrsigner", identity.mrsigner, sgx.mrsigner),
    ...equal("PRODUCT_ID_NOT_ALLOWED", rule, "isvProdId", identity.isvProdId, sgx.isvProdId),
    ...svn,
  ];
}

function checkTdx(identity: TdxIdentity, tdx: NonNullable<PolicyClaims["tdx"]>, rule: string): Denial[] {
  return [
    ...equal("MEASUREMENT_NOT_ALLOWED", rule, "mrtd", identity.mrtd, tdx.mrtd),
    ...identity.rtmrs.flatMap((expected, i) =>
      equal("MEASUREMENT_NOT_ALLOWED", rule, `rtmrs.${i}`, expected, tdx.rtmrs[i] ?? "none"),
    ),
  ];
}
