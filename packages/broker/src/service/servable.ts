import type { Policy } from "@cloister/policy";
import { BrokerError } from "../broker-error.ts";

/** What workloads may need of the broker beside their keys. */
export interface ServiceAbilities {
  readonly clientCa?: string;
  readonly bundles?: object;
}

/**
 * Why this broker could never serve a workload of the policy, whatever enclave asks; undefined where it can serve all.
 * CLIENT_CA_MISSING or BUNDLES_MISSING; the message names the place in the policy.
 */
export function unservable({ workloads }: Policy, { clientCa, bundles }: ServiceAbilities): BrokerError | undefined {
  for (const [index, { secrets }] of workloads.entries()) {
    const at = `workloads.${index}.secrets`;
    if (secrets.model !== null && bundles === undefined) {
      return new BrokerError("BUNDLES_MISSING", {
        what: "the policy was not taken",
        why: `${at}.model names a sealed model, and this broker has no bundle manifests`,
        remedy: "give the broker --bundles and --owner-key, or leave model out of the policy",
      });
    }
    if (secrets.serving?.clientVerify === true && clientCa === undefined) {
      return new BrokerError("CLIENT_CA_MISSING", {
        what: "the policy was not taken",
        why: `${at}.serving asks requesters for a certificate (clientVerify, the default), and this broker has no authority for them`,
        remedy: "give the broker --client-ca, or say clientVerify: false in the policy",
      });
    }
  }
  return undefined;
}
