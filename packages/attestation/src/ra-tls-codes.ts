import type { Explanation } from "@cloister/encoding";

/** Codes of RA-TLS certificates. */
export type RaTlsErrorCode = "RA_TLS_CERTIFICATE_MALFORMED";

export const RA_TLS_EXPLANATIONS: Readonly<Record<RaTlsErrorCode, Explanation>> = {
  RA_TLS_CERTIFICATE_MALFORMED: {
    what: "RA-TLS certificate refused",
    why: "it is not a valid certificate",
    remedy: "check what presented it",
  },
};
