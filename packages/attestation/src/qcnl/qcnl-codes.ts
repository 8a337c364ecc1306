import type { Explanation } from "@cloister/encoding";

/** Codes of `sgx_default_qcnl.conf`. */
export type QcnlErrorCode = "QCNL_NOT_FOUND" | "QCNL_MALFORMED" | "QCNL_INSECURE_TLS" | "QCNL_URL_NOT_PROTECTED";

const WHAT = "quote provider configuration refused";

export const QCNL_EXPLANATIONS: Readonly<Record<QcnlErrorCode, Explanation>> = {
  QCNL_NOT_FOUND: {
    what: "quote provider configuration not read",
    why: "there is no readable file at QCNL_CONF_PATH or /etc/sgx_default_qcnl.conf",
    remedy: "name a file, or use a preset or an address instead",
  },
  QCNL_MALFORMED: {
    what: WHAT,
    why: "it begins like JSON but is broken, is too large, or has an update type other than early and standard",
    remedy: "compare it with the file that Intel's quote provider library comes with",
  },
  QCNL_INSECURE_TLS: {
    what: WHAT,
    why: "it turns the check of the service's TLS certificate off",
    remedy: "give the service a certificate and set use_secure_cert to true, or allow it with an explicit switch",
  },
  QCNL_URL_NOT_PROTECTED: {
    what: WHAT,
    why: "the address of the service is not HTTPS, and not on this machine",
    remedy: "configure an https:// address",
  },
};
