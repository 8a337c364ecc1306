import type { AttestationError } from "@cloister/attestation";
import type { Explanation } from "@cloister/encoding";
import type { Denial } from "@cloister/policy";
import { connectionFailed } from "../channel/handshake-error.ts";
import { ClientError } from "../errors.ts";
import { type ConnectionRefusalCode, REFUSAL_REASONS } from "./refusal-reasons.ts";

const WHAT = "no request was sent to the replica";
/** The replica is not what was asked for. Another one may be: such a call is worth another connection. */
export function refused(code: ConnectionRefusalCode, cause?: unknown): ClientError {
  const [why, remedy] = REFUSAL_REASONS[code];
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
