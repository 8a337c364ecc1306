import { toHex } from "@cloister/encoding";
import { parseRaTlsCertificate } from "../ra-tls/parse.ts";
import { describeCertificate } from "./describe-certificate.ts";
import { describeQuote } from "./describe-quote.ts";
import type { Detail } from "./inspection.ts";

/** An RA-TLS certificate with the quotes in it. Throws `AttestationError` with an RA_TLS_ code. */
export function describeRaTls(der: Uint8Array): { readonly [name: string]: Detail } {
  const { certificate, keyType, legacyQuote, evidence } = parseRaTlsCertificate(der);
  return {
    ...describeCertificate(certificate),
    keyType,
    ...(evidence && {
      evidence: {
        publicKeyHash: `${evidence.pubkeyHash.name}:${toHex(evidence.pubkeyHash.digest)}`,
        nonce: evidence.nonce === undefined ? null : toHex(evidence.nonce),
        quote: describeQuote(evidence.quote),
      },
    }),
    ...(legacyQuote && { legacyQuote: describeQuote(legacyQuote) }),
  };
}
