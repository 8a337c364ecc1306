import type { ServingRule } from "@cloister/policy";
import type { ServingCa } from "../options.ts";
import type { CertificateAuthority } from "./authority.ts";
import { issueServerCertificate } from "./issue.ts";

/**
 * The broker's signer of serving certificates. Names and validity come from the policy, the key from the request of an
 * admitted enclave; `clientAuthority` is what replicas check requesters against.
 */
export function createServingCa(options: {
  readonly authority: CertificateAuthority;
  readonly clientAuthority?: CertificateAuthority;
  /** The same, where only its certificate is at hand: PEM. */
  readonly clientCa?: string;
  readonly clock: () => Date;
}): ServingCa {
  const { authority, clientAuthority, clock } = options;
  const clientCa = clientAuthority?.certificate ?? options.clientCa ?? null;
  return {
    issue: async (csr: Uint8Array, rule: ServingRule) => {
      const { dnsNames, ipAddresses, validitySeconds } = rule;
      const fields = { authority, subject: { csr }, now: clock(), dnsNames, ipAddresses, validitySeconds };
      return issueServerCertificate(fields).chain;
    },
    clientCa,
  };
}
