import type { Explanation } from "@cloister/encoding";

/** Codes of Microsoft Azure Attestation: of its tokens, its keys and the service. */
export type MaaErrorCode =
  | "MAA_PROVIDER_INVALID"
  | "MAA_TOKEN_MALFORMED"
  | "MAA_ALGORITHM_NOT_ALLOWED"
  | "MAA_KEYS_MALFORMED"
  | "MAA_KEY_UNKNOWN"
  | "MAA_KEY_EXPIRED"
  | "MAA_SIGNATURE_INVALID"
  | "MAA_ISSUER_MISMATCH"
  | "MAA_TOKEN_EXPIRED"
  | "MAA_TOKEN_NOT_YET_VALID"
  | "MAA_VERSION_UNSUPPORTED"
  | "MAA_ATTESTATION_TYPE_MISMATCH"
  | "MAA_DEBUGGABLE_MISMATCH"
  | "MAA_MRENCLAVE_MISMATCH"
  | "MAA_MRSIGNER_MISMATCH"
  | "MAA_PRODUCT_ID_MISMATCH"
  | "MAA_SVN_MISMATCH"
  | "MAA_REPORT_DATA_MISMATCH"
  | "MAA_RUNTIME_DATA_MISMATCH"
  | "MAA_QUOTE_HASH_MISMATCH"
  | "MAA_QUOTE_UNSUPPORTED"
  | "MAA_PLATFORM_MISMATCH"
  | "MAA_SERVICE_UNREACHABLE"
  | "MAA_SERVICE_FAILED"
  | "MAA_SERVICE_REFUSED"
  | "MAA_RESPONSE_MALFORMED";

const TOKEN = "attestation token refused";
const SERVICE = "attestation service did not vouch";
const TREAT_AS_FORGED = "treat it as forged or swapped; ask the service again over a connection of your own";

const token = (why: string, remedy = TREAT_AS_FORGED): Explanation => ({ what: TOKEN, why, remedy });
const service = (why: string, remedy: string): Explanation => ({ what: SERVICE, why, remedy });

export const MAA_EXPLANATIONS: Readonly<Record<MaaErrorCode, Explanation>> = {
  MAA_PROVIDER_INVALID: {
    what: "attestation provider refused",
    why: "its address is not that of an Azure Attestation instance (https://NAME.REGION.attest.azure.net), or not HTTPS",
    remedy: "correct the address; any other service has to be configured as a simulated one",
  },
  MAA_TOKEN_MALFORMED: token("it is not a JSON Web Token with the members that the service writes"),
  MAA_ALGORITHM_NOT_ALLOWED: token("it is not signed with RS256 or ES256 by a key for that algorithm"),
  MAA_KEYS_MALFORMED: {
    what: "keys of the attestation service refused",
    why: "the list is no JSON Web Key Set with RSA keys of 2048 bits or more, or P-256 keys",
    remedy: "check the address of the service",
  },
  MAA_KEY_UNKNOWN: token("its key is not among the keys that the service publishes", "fetch the service's keys again"),
  MAA_KEY_EXPIRED: token("the certificate of its key is not valid at the verification time", "check the clock"),
  MAA_SIGNATURE_INVALID: token("its signature does not verify"),
  MAA_ISSUER_MISMATCH: token("another service issued it than the configured one", "configure the right address"),
  MAA_TOKEN_EXPIRED: token("its validity is over at the verification time", "ask the service for a new one"),
  MAA_TOKEN_NOT_YET_VALID: token("its validity has not begun at the verification time", "check the clock"),
  MAA_VERSION_UNSUPPORTED: token("x-ms-ver is not 1.0", "check for a newer version of this software"),
  MAA_ATTESTATION_TYPE_MISMATCH: token("x-ms-attestation-type is not sgx", "check what the service was asked for"),
  MAA_DEBUGGABLE_MISMATCH: token("x-ms-sgx-is-debuggable is missing or says another thing than the quote"),
  MAA_MRENCLAVE_MISMATCH: token("x-ms-sgx-mrenclave is missing or another than in the quote"),
  MAA_MRSIGNER_MISMATCH: token("x-ms-sgx-mrsigner is missing or another than in the quote"),
  MAA_PRODUCT_ID_MISMATCH: token("x-ms-sgx-product-id is missing or another than in the quote"),
  MAA_SVN_MISMATCH: token("x-ms-sgx-svn is missing or another than in the quote"),
  MAA_REPORT_DATA_MISMATCH: token("x-ms-sgx-report-data is missing or other than in the quote"),
  MAA_RUNTIME_DATA_MISMATCH: token("x-ms-sgx-ehd is missing, or the quote's report data do not hold its SHA-256"),
  MAA_QUOTE_HASH_MISMATCH: token("x-ms-sgx-collateral.quotehash is missing or not that of the quote"),
  MAA_QUOTE_UNSUPPORTED: token("the quote is not an SGX quote of version 3", "verify it with collateral instead"),
  MAA_PLATFORM_MISMATCH: token(
    "a service for real platforms vouched for a simulated platform, or the other way round",
    "configure the service as what it is",
  ),
  MAA_SERVICE_UNREACHABLE: service("it did not answer over TLS in time", "check its address and the network"),
  MAA_SERVICE_FAILED: service("it reports a failure of its own or too many requests", "try again later"),
  MAA_SERVICE_REFUSED: service("it refuses the quote", "look at its policy, and verify the quote with collateral"),
  MAA_RESPONSE_MALFORMED: service("its answer holds no token or no keys", "check its address"),
};
