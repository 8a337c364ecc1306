import type { Explanation } from "@cloister/encoding";

/** The certificate chains of an appraisal. */
export type ChainName = "PCK_CHAIN" | "PCK_CRL_CHAIN" | "TCB_INFO_CHAIN" | "QE_IDENTITY_CHAIN";
export type CrlName = "ROOT_CRL" | "PCK_CRL";
export type DocumentName = "TCB_INFO" | "QE_IDENTITY";

export type TimeFault = "EXPIRED" | "NOT_YET_VALID";
type ItemFault = "MALFORMED" | "SIGNATURE_INVALID" | TimeFault;
export type ChainFault = ItemFault | "LENGTH" | "ROOT_NOT_TRUSTED" | "NAME_MISMATCH" | "PROFILE" | "ROLE";
type CrlFault = ItemFault | "ISSUER_MISMATCH";
type DocumentFault = ItemFault | "TEE_MISMATCH";

/** Codes of `appraise`. The order of checks is fixed, so evidence with two faults always gives the same one. */
export type AppraisalErrorCode =
  SingleCode | `${ChainName}_${ChainFault}` | `${CrlName}_${CrlFault}` | `${DocumentName}_${DocumentFault}`;

type Reason = Pick<Explanation, "why" | "remedy">;

const ASK_PLATFORM = "do not trust the platform that sent it; ask its operator for a fresh quote";
const ASK_SERVICE = "fetch the collateral again, and check the collateral service";
const UPDATE_PLATFORM = "update the platform's firmware and its attestation software, then attest again";

const SINGLE = {
  TIME_INVALID: ["appraisal refused", "the verification time is not a date", "check the clock of the verifier"],
  ANCHOR_MALFORMED: ["trust anchor refused", "it is not a P-256 root certificate", "configure the right root"],
  ANCHOR_NOT_SELF_SIGNED: ["trust anchor refused", "its own signature does not verify", "configure the right root"],
  ANCHOR_NOT_INTEL: ["trust anchor refused", "it is not the key and name of Intel's root", "configure the right root"],
  ANCHOR_EXPIRED: ["trust anchor refused", "its validity is over", "configure the root's successor"],
  ANCHOR_NOT_YET_VALID: ["trust anchor refused", "its validity has not begun", "check the clock of the verifier"],
  ANCHOR_SIMULATED: ["trust anchor refused", "this verifier takes no simulated root", "use a real platform"],
  QUOTE_TOO_LARGE: ["quote refused", "it is longer than 16 KiB", ASK_PLATFORM],
  QUOTE_MALFORMED: ["quote refused", "its structure is broken", ASK_PLATFORM],
  QUOTE_TRAILING_BYTES: ["quote refused", "bytes follow its end", "cut padding off before the appraisal"],
  QUOTE_VERSION_UNSUPPORTED: ["quote refused", "its version is not 3, 4 or 5", ASK_PLATFORM],
  QUOTE_KEY_TYPE_UNSUPPORTED: ["quote refused", "its attestation key is not ECDSA P-256", ASK_PLATFORM],
  QUOTE_TEE_UNSUPPORTED: ["quote refused", "its TEE type does not go with its version", ASK_PLATFORM],
  QUOTE_VENDOR_UNKNOWN: ["quote refused", "its quoting enclave is not Intel's kind", ASK_PLATFORM],
  QUOTE_CERTIFICATION_TYPE_UNSUPPORTED: [
    "quote refused",
    "it does not carry a PCK certificate chain (certification data type 5)",
    "let the platform's quote provider fetch its PCK certificate",
  ],
  QUOTE_SIGNATURE_INVALID: ["quote refused", "its signature does not verify", ASK_PLATFORM],
  PCK_EXTENSION_MALFORMED: ["PCK certificate refused", "its SGX extension is broken", ASK_PLATFORM],
  PCK_CERTIFICATE_REVOKED: ["PCK certificate refused", "it is revoked", "do not use the platform"],
  PCK_CA_REVOKED: ["PCK CA refused", "its certificate is revoked", "do not use the platform"],
  TCB_SIGNER_REVOKED: ["TCB signer refused", "its certificate is revoked", ASK_SERVICE],
  FMSPC_MISMATCH: ["TCB info refused", "it is for another kind of platform (FMSPC)", ASK_SERVICE],
  PCEID_MISMATCH: ["TCB info refused", "it is for another PCE (PCEID)", ASK_SERVICE],
  QE_REPORT_SIGNATURE_INVALID: ["quoting enclave refused", "its report's signature does not verify", ASK_PLATFORM],
  QE_REPORT_DATA_MISMATCH: ["quoting enclave refused", "its report does not bind the attestation key", ASK_PLATFORM],
  QE_MISCSELECT_MISMATCH: ["quoting enclave refused", "its MISCSELECT is not the expected one", ASK_PLATFORM],
  QE_ATTRIBUTES_MISMATCH: ["quoting enclave refused", "its attributes are not the expected ones", ASK_PLATFORM],
  QE_MRSIGNER_MISMATCH: ["quoting enclave refused", "another key signed it", ASK_PLATFORM],
  QE_ISVPRODID_MISMATCH: ["quoting enclave refused", "its product id is not the expected one", ASK_PLATFORM],
  QE_TCB_NOT_SUPPORTED: ["quoting enclave refused", "it is older than every TCB level", UPDATE_PLATFORM],
  TDX_MODULE_UNKNOWN: ["TDX module refused", "the TCB info has no identity for its version", ASK_SERVICE],
  TDX_MODULE_SIGNER_MISMATCH: ["TDX module refused", "another key signed it", ASK_PLATFORM],
  TDX_MODULE_ATTRIBUTES_MISMATCH: ["TDX module refused", "its attributes are not the expected ones", ASK_PLATFORM],
  TDX_MODULE_TCB_NOT_SUPPORTED: ["TDX module refused", "it is older than every TCB level", UPDATE_PLATFORM],
  TCB_NOT_SUPPORTED: ["platform refused", "it is below every TCB level", UPDATE_PLATFORM],
  TCB_REVOKED: ["platform refused", "its TCB level is revoked", UPDATE_PLATFORM],
} as const satisfies Readonly<Record<string, readonly [string, string, string]>>;

type SingleCode = keyof typeof SINGLE;

const CHAIN_LABEL: Readonly<Record<ChainName, string>> = {
  PCK_CHAIN: "PCK certificate chain refused",
  PCK_CRL_CHAIN: "issuer chain of the PCK revocation list refused",
  TCB_INFO_CHAIN: "issuer chain of the TCB info refused",
  QE_IDENTITY_CHAIN: "issuer chain of the QE identity refused",
};

const CRL_LABEL: Readonly<Record<CrlName, string>> = {
  ROOT_CRL: "revocation list of the root refused",
  PCK_CRL: "revocation list of the PCK CA refused",
};

const DOCUMENT_LABEL: Readonly<Record<DocumentName, string>> = {
  TCB_INFO: "TCB info refused",
  QE_IDENTITY: "QE identity refused",
};

const REASONS: Readonly<Record<ChainFault | CrlFault | DocumentFault, Reason>> = {
  MALFORMED: { why: "its structure is broken", remedy: ASK_SERVICE },
  SIGNATURE_INVALID: { why: "a signature does not verify", remedy: ASK_SERVICE },
  EXPIRED: { why: "its validity is over at the verification time", remedy: ASK_SERVICE },
  NOT_YET_VALID: { why: "its validity has not begun at the verification time", remedy: "check the verifier's clock" },
  LENGTH: { why: "it has too few or too many certificates", remedy: ASK_SERVICE },
  ROOT_NOT_TRUSTED: { why: "it does not end at a configured trust anchor", remedy: "check which roots are configured" },
  NAME_MISMATCH: { why: "a certificate names another issuer than the next one", remedy: ASK_SERVICE },
  PROFILE: { why: "a certificate is not of the kind that its place asks for", remedy: ASK_SERVICE },
  ROLE: { why: "a certificate has another role than its place asks for", remedy: ASK_SERVICE },
  ISSUER_MISMATCH: { why: "it is from another issuer", remedy: ASK_SERVICE },
  TEE_MISMATCH: { why: "it is for another kind of TEE", remedy: ASK_SERVICE },
};

const GROUPS: Readonly<Record<string, { label: string; faults: readonly (keyof typeof REASONS)[] }>> = {
  ...group(CHAIN_LABEL, ["LENGTH", "ROOT_NOT_TRUSTED", "NAME_MISMATCH", "PROFILE", "ROLE"]),
  ...group(CRL_LABEL, ["ISSUER_MISMATCH"]),
  ...group(DOCUMENT_LABEL, ["TEE_MISMATCH"]),
};

/** Every code of an appraisal with its explanation, for the reference documentation. */
export const APPRAISAL_EXPLANATIONS: ReadonlyMap<AppraisalErrorCode, Explanation> = new Map([
  ...Object.entries(SINGLE).map(([code, [what, why, remedy]]) => entry(code, { what, why, remedy })),
  ...Object.entries(GROUPS).flatMap(([name, { label, faults }]) =>
    faults.map((fault) => entry(`${name}_${fault}`, { what: label, ...REASONS[fault] })),
  ),
]);

export function isAppraisalCode(code: string): code is AppraisalErrorCode {
  return (APPRAISAL_EXPLANATIONS as ReadonlyMap<string, Explanation>).has(code);
}

export function explainAppraisal(code: AppraisalErrorCode): Explanation {
  const explanation = APPRAISAL_EXPLANATIONS.get(code);
  if (explanation === undefined) throw new TypeError("a code of the appraisal has no explanation");
  return explanation;
}

function group(
  labels: Readonly<Record<string, string>>,
  own: readonly (keyof typeof REASONS)[],
): Record<string, { label: string; faults: readonly (keyof typeof REASONS)[] }> {
  const faults = ["MALFORMED", "SIGNATURE_INVALID", "EXPIRED", "NOT_YET_VALID", ...own] as const;
  return Object.fromEntries(Object.entries(labels).map(([name, label]) => [name, { label, faults }]));
}

function entry(code: string, explanation: Explanation): [AppraisalErrorCode, Explanation] {
  return [code as AppraisalErrorCode, explanation];
}
