import { CodedError, type Explanation } from "@cloister/encoding";

export type BrokerErrorCode =
  // Of the client half.
  | "BROKER_UNREACHABLE"
  | "BROKER_NOT_TRUSTED"
  | "BROKER_HANDSHAKE_FAILED"
  | "PROVISIONING_REFUSED"
  | "PROVISIONING_TIMEOUT"
  | "PROVISIONING_CANCELLED"
  | "CONNECTION_LOST"
  | "ANSWER_MALFORMED"
  | "LOG_PROOF_NOT_OURS"
  // Of the wire, on either side.
  | "MESSAGE_TRUNCATED"
  | "MESSAGE_TOO_LARGE"
  | "MESSAGE_MALFORMED"
  // Of secrets.
  | "KEY_UNKNOWN"
  | "KEY_FORM_MISMATCH"
  | "KEY_REVOKED"
  | "KEY_EXISTS"
  | "KEY_STORE_MISSING"
  | "KEY_STORE_LOCKED"
  | "KEY_STORE_DAMAGED"
  | "KEY_STORE_BUSY"
  | "KEY_PROTECTION_UNAVAILABLE"
  | "KEY_FILE_EXPOSED"
  | "KEY_IN_REPOSITORY"
  | "KEY_PUBLISHED"
  | "KEY_WEAK"
  // Of the store that several brokers share.
  | "STORE_UNAVAILABLE"
  | "STORE_NOT_DURABLE"
  | "STORE_DAMAGED"
  | "STORE_OPTIONS_INVALID"
  // Of starting.
  | "BROKER_OPTIONS_INVALID"
  | "BROKER_NAME_CHANGED"
  | "LISTEN_FAILED"
  | "CLIENT_CA_MISSING"
  | "BUNDLES_MISSING"
  | "POLICY_FILE_UNREADABLE"
  // Of certificates.
  | "AUTHORITY_MALFORMED"
  | "CERTIFICATE_FIELDS_INVALID"
  | "CERTIFICATE_OUTLIVES_AUTHORITY"
  | "FOLDER_NOT_EMPTY"
  | "CERTIFICATE_REQUEST_REFUSED";

/** The one error class of this package. */
export class BrokerError extends CodedError<BrokerErrorCode> {
  /** Codes that the broker gave for a refusal; empty for every other error. */
  readonly refusedFor: readonly string[];

  constructor(
    code: BrokerErrorCode,
    explanation: Explanation,
    options: { cause?: unknown; refusedFor?: readonly string[] } = {},
  ) {
    super(code, explanation, { cause: options.cause });
    this.refusedFor = options.refusedFor ?? [];
  }
}
