import { createHash } from "node:crypto";
import { utf8 } from "@cloister/encoding";
import type { PckChain } from "../chain/pck-chain.ts";
import type { VerifiedClaims } from "../appraisal/claims.ts";
import { platformClaims, sgxClaims } from "../appraisal/make-claims.ts";
import { isDebugEnclave, type SgxReport } from "../quote/sgx-report.ts";
import type { MaaProvider } from "./provider.ts";

/** Everything that a token proved. */
export interface VouchedFor {
  readonly report: SgxReport;
  readonly platform: Omit<PckChain, "chain">;
  readonly provider: MaaProvider;
  readonly url: string;
  readonly issued: Date;
  readonly until: Date;
}

const CHECKED = ["quote-structure", "token-signature", "token-claims", "token-quote-match"];

/** The claims of a token that passed. They name the service as their verifier, and say nothing that it does not say. */
export function makeMaaClaims({ report, platform, provider, url, issued, until }: VouchedFor): VerifiedClaims {
  const claims: Omit<VerifiedClaims, symbol> = {
    verifier: "maa",
    tee: "sgx",
    quoteVersion: 3,
    simulated: provider.kind === "simulated",
    anchor: url,
    anchorSha256: createHash("sha256").update(utf8(url)).digest("hex"),
    reportData: report.reportData,
    debug: isDebugEnclave(report),
    sgx: sgxClaims(report),
    tcb: {
      status: "NotReported",
      platformStatus: "NotReported",
      qeStatus: "NotReported",
      advisoryIds: [],
      tcbDate: new Date(0),
      evaluationDataNumber: 0,
    },
    dates: { earliestIssue: issued, latestIssue: issued, earliestExpiry: until },
    platform: platformClaims(platform),
    checked: CHECKED,
  };
  // As in make-claims.ts: the brand exists for the type checker only.
  return Object.freeze(claims) as VerifiedClaims;
}
