import { createVerifier, type TrustAnchor } from "@cloister/attestation";
import { createMaaClient, type MaaClient } from "@cloister/attestation/maa-client";
import { appraiseRaTlsAsync, appraiseRaTlsBy } from "@cloister/attestation/ra-tls";
import type { Appraise, AskService } from "../options.ts";

/** Verifies collateral once and the evidence each time: dates and revocation are looked at on every appraisal. */
export function rememberingVerifier(anchors: readonly TrustAnchor[]): Appraise {
  const verifier = createVerifier({ anchors });
  return (evidence, collateral, time, options) => appraiseRaTlsAsync(verifier, evidence, collateral, time, options);
}

/**
 * One client for each attestation service, which keeps the service's keys. `tlsAuthority` is the PEM of the authority that a
 * stand-in's certificate is from; the real service has one that every machine knows.
 */
export function serviceClients(clock: () => Date, tlsAuthority?: string): AskService {
  const clients = new Map<string, MaaClient>();
  return (service, evidence, time, options) => {
    const name = `${service.kind} ${service.url}`;
    const provider = {
      url: service.url,
      kind: service.kind === "maa" ? ("azure" as const) : ("simulated" as const),
      ...(tlsAuthority !== undefined && { tlsAuthority }),
    };
    const client = clients.get(name) ?? createMaaClient({ provider, clock });
    clients.set(name, client);
    return appraiseRaTlsBy(client.appraise, evidence, time, options);
  };
}
