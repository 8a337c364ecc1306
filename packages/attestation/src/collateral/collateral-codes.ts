import type { Explanation } from "@cloister/encoding";

/** Codes of collateral as a whole: its stored form, and the service it comes from. Its items have codes of the appraisal. */
export type CollateralErrorCode =
  | "COLLATERAL_MALFORMED"
  | "COLLATERAL_SERVICE_URL_INVALID"
  | "COLLATERAL_SERVICE_UNREACHABLE"
  | "COLLATERAL_SERVICE_TIMEOUT"
  | "COLLATERAL_SERVICE_FAILED"
  | "COLLATERAL_SERVICE_BUSY"
  | "COLLATERAL_SERVICE_REFUSED"
  | "COLLATERAL_VERSION_UNSUPPORTED"
  | "COLLATERAL_NOT_FOUND"
  | "COLLATERAL_RESPONSE_TOO_LARGE"
  | "COLLATERAL_RESPONSE_MALFORMED"
  | "COLLATERAL_ROLLED_BACK";

const SERVICE = "collateral not fetched";

export const COLLATERAL_EXPLANATIONS: Readonly<Record<CollateralErrorCode, Explanation>> = {
  COLLATERAL_MALFORMED: {
    what: "stored collateral refused",
    why: "it is not in the form that this software writes",
    remedy: "fetch the collateral again",
  },
  COLLATERAL_SERVICE_URL_INVALID: {
    what: SERVICE,
    why: "the address of the service is neither an HTTPS URL, nor HTTP on this machine, nor a file: URL",
    remedy: "configure an https:// URL that ends in /certification/v4/",
  },
  COLLATERAL_SERVICE_UNREACHABLE: {
    what: SERVICE,
    why: "no TLS connection to the service came about",
    remedy: "check its address, its certificate and the network",
  },
  COLLATERAL_SERVICE_TIMEOUT: {
    what: SERVICE,
    why: "the service did not answer in time",
    remedy: "check the service, or try again later",
  },
  COLLATERAL_SERVICE_FAILED: {
    what: SERVICE,
    why: "the service reports a failure of its own",
    remedy: "look into the service's log, or try again later",
  },
  COLLATERAL_SERVICE_BUSY: {
    what: SERVICE,
    why: "the service asks for fewer requests (429)",
    remedy: "wait, and share one cache between verifiers",
  },
  COLLATERAL_VERSION_UNSUPPORTED: {
    what: SERVICE,
    why: "version 3 of the service has ended, or does not know TDX",
    remedy: "configure the address of version 4: it ends in /certification/v4/",
  },
  COLLATERAL_SERVICE_REFUSED: {
    what: SERVICE,
    why: "the service does not take the request",
    remedy: "check the address and the version of the service",
  },
  COLLATERAL_NOT_FOUND: {
    what: SERVICE,
    why: "the service has nothing for this kind of platform",
    remedy: "let the service cache this platform's collateral",
  },
  COLLATERAL_RESPONSE_TOO_LARGE: {
    what: SERVICE,
    why: "an answer is longer than 1 MiB",
    remedy: "check that the address is that of a collateral service",
  },
  COLLATERAL_RESPONSE_MALFORMED: {
    what: SERVICE,
    why: "an answer lacks its issuer chain or has another form than expected",
    remedy: "check that the address is that of a collateral service of version 4",
  },
  COLLATERAL_ROLLED_BACK: {
    what: "fetched collateral refused",
    why: "a part of it is older than what was fetched before",
    remedy: "look into the service: it is out of date, or someone holds newer revocations back",
  },
};
