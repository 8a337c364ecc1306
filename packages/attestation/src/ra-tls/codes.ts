import type { Explanation } from "@cloister/encoding";

/** Codes of RA-TLS certificates. */
export type RaTlsErrorCode =
  | "RA_TLS_CERTIFICATE_MALFORMED"
  | "RA_TLS_KEY_NOT_ALLOWED"
  | "RA_TLS_SELF_SIGNATURE_INVALID"
  | "RA_TLS_NOT_YET_VALID"
  | "RA_TLS_EXPIRED"
  | "RA_TLS_EVIDENCE_MISSING"
  | "RA_TLS_EVIDENCE_MALFORMED"
  | "RA_TLS_PUBKEY_HASH_MISSING"
  | "RA_TLS_PUBKEY_HASH_MISMATCH"
  | "RA_TLS_REPORT_DATA_MISMATCH"
  | "RA_TLS_REPORT_DATA_TAIL_NOT_ZERO"
  | "RA_TLS_QUOTES_DISAGREE"
  | "RA_TLS_NONCE_MISMATCH";

const WHAT = "RA-TLS certificate refused";

const explain = (why: string, remedy: string): Explanation => ({ what: WHAT, why, remedy });

export const RA_TLS_EXPLANATIONS: Readonly<Record<RaTlsErrorCode, Explanation>> = {
  RA_TLS_CERTIFICATE_MALFORMED: explain(
    "it is not a valid X.509 v3 certificate of the RA-TLS form",
    "check what presented it",
  ),
  RA_TLS_KEY_NOT_ALLOWED: explain(
    "its key is neither P-256 nor P-384",
    "use Gramine 1.4 or later, or allow RSA-3072 for Gramine 1.3 and earlier",
  ),
  RA_TLS_SELF_SIGNATURE_INVALID: explain("it is not signed by its own key", "make a new certificate in the enclave"),
  RA_TLS_NOT_YET_VALID: explain("its validity has not begun", "compare the clocks of both machines"),
  RA_TLS_EXPIRED: explain("its validity has ended", "make a new certificate in the enclave"),
  RA_TLS_EVIDENCE_MISSING: explain(
    "it carries no quote",
    "check that the enclave was started with remote attestation (sgx.remote_attestation)",
  ),
  RA_TLS_EVIDENCE_MALFORMED: explain(
    "its evidence extension is not CBOR of the TCG DICE form, or a quote in it is too short",
    "check the version of the library that made it",
  ),
  RA_TLS_PUBKEY_HASH_MISSING: explain(
    "its claims do not name the hash of its key, so the quote may belong to another enclave",
    "treat it as a relay attempt; a genuine enclave always binds its key",
  ),
  RA_TLS_PUBKEY_HASH_MISMATCH: explain(
    "its claims name the hash of another key",
    "treat it as a relay attempt; a genuine enclave always binds its key",
  ),
  RA_TLS_REPORT_DATA_MISMATCH: explain(
    "a quote in it was made for other data than its key or claims",
    "treat it as a relay attempt; a genuine enclave always binds its key",
  ),
  RA_TLS_REPORT_DATA_TAIL_NOT_ZERO: explain(
    "the second half of a quote's report data is not zero",
    "check the version of the library that made it",
  ),
  RA_TLS_QUOTES_DISAGREE: explain(
    "its two quotes describe different enclaves, platforms or TCB levels",
    "make a new certificate in the enclave",
  ),
  RA_TLS_NONCE_MISMATCH: explain(
    "its claims do not hold the nonce that was asked for",
    "ask the enclave for evidence over the new nonce",
  ),
};
