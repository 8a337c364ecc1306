import type { AttestationError } from "@cloister/attestation";
import type { Explanation } from "@cloister/encoding";
import type { Denial } from "@cloister/policy";
import { connectionFailed } from "../channel/handshake-error.ts";
import { ClientError } from "../errors.ts";

const WHAT = "no request was sent to the replica";
const ASK_OPERATOR = "do not use this server; ask its operator";

const REASONS = {
  ATTESTATION_UNSUPPORTED: [
    "it does not answer with evidence when a connection begins",
    "serve with evidence, or do not ask for attestation; if it did before, somebody else answers at this address",
  ],
  TLS_VERSION_REFUSED: ["it does not speak TLS 1.3, below which evidence cannot be tied to a connection", ASK_OPERATOR],
  SESSION_RESUMED: ["the TLS session was resumed from an earlier connection", "open connections without a session"],
  EVIDENCE_MISSING: ["it closed the connection, or sent something else, in place of its evidence", ASK_OPERATOR],
  EVIDENCE_REPLAYED: ["its evidence answers another challenge than this connection's", ASK_OPERATOR],
  EVIDENCE_FOR_OTHER_KEY: ["its evidence is for another key than that of its certificate", ASK_OPERATOR],
  EVIDENCE_FOR_OTHER_CONNECTION: ["its evidence was made for another connection", ASK_OPERATOR],
  EVIDENCE_NOT_BOUND: ["the quote's report data is not the digest of this connection's binding", ASK_OPERATOR],
  COLLATERAL_UNAVAILABLE: [
    "there is no collateral to verify its quote with",
    "give a collateral file or service; the cause says what went wrong",
  ],
} as const satisfies Readonly<Record<string, readonly [string, string]>>;

export type ConnectionRefusalCode = keyof typeof REASONS;

/** The replica is not what was asked for. Another one may be: such a call is worth another connection. */
export function refused(code: ConnectionRefusalCode, cause?: unknown): ClientError {
  const [why, remedy] = REASONS[code];
  return refusal(code, { what: WHAT, why, remedy }, cause);
}

/** The appraisal's own code and words. */
export function appraisalRefused(error: AttestationError): ClientError {
  return refusal(error.code, { ...error.explanation, what: `${WHAT}: ${error.explanation.what}` }, error);
}

/** The code of the denial that came closest. */
export function policyRefused(denials: readonly Denial[]): ClientError {
  const [first] = denials;
  if (first === undefined) throw new TypeError("a denial has a reason");
  const why = denials
    .map(({ rule, claim, expected, got }) => `${rule}: ${claim} is ${got}, not ${expected}`)
    .join("; ");
  return refusal(first.code, { what: WHAT, why, remedy: "correct the policy, or use another server" });
}

/** Why no attested connection came about. */
export function attestedConnectionFailed(cause: unknown): ClientError {
  if (cause instanceof ClientError) return cause;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (code.endsWith("ALERT_NO_APPLICATION_PROTOCOL")) return refused("ATTESTATION_UNSUPPORTED", cause);
  if (code.endsWith("ALERT_PROTOCOL_VERSION") || code === "ERR_SSL_UNSUPPORTED_PROTOCOL") {
    return refused("TLS_VERSION_REFUSED", cause);
  }
  return connectionFailed(cause);
}

function refusal(code: ClientError["code"], explanation: Explanation, cause?: unknown): ClientError {
  return new ClientError(code, explanation, { cause, isReplicaRefused: true });
}
