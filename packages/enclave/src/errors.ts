import { CodedError } from "@cloister/encoding";

/** Everything the enclave side can refuse or fail with. */
export type EnclaveErrorCode =
  | "MANIFEST_INVALID"
  | "MANIFEST_IS_TEMPLATE"
  | "HOST_OPTION_REFUSED"
  | "INSTALLATION_NOT_BUILT"
  | "LIBRARY_NOT_FOUND"
  | "TRUSTED_FILE_CHANGED"
  | "TRUSTED_FILE_MISSING"
  | "PLATFORM_NOT_FOUND"
  | "PLATFORM_QUOTE_FAILED"
  | "PLATFORM_KEY_REFUSED"
  | "SIMULATED_PLATFORM_INVALID"
  | "REPLICA_START_TIMEOUT"
  | "REPLICA_EXITED"
  | "REPLICA_REFUSED"
  | "CLIENT_CA_MISSING"
  | "NOTHING_TO_SERVE"
  | "LEASE_ENDED"
  | "GENERATION_REVOKED"
  | "ELF_MALFORMED"
  | "ENCLAVE_DOES_NOT_FIT"
  | "SIGNING_KEY_UNSUITABLE"
  | "SIGNING_COMMAND_FAILED"
  | "SIGNATURE_WRONG";

/** The one error class of this package. */
export class EnclaveError extends CodedError<EnclaveErrorCode> {}
