import { callFailed, ClientError } from "../errors.ts";

/** Alerts by which a server turns down a client's certificate, or asks for one (RFC 8446, section 6.2). */
const CERTIFICATE_ALERTS = [
  "CERTIFICATE_REQUIRED",
  "BAD_CERTIFICATE",
  "UNSUPPORTED_CERTIFICATE",
  "CERTIFICATE_REVOKED",
  "CERTIFICATE_EXPIRED",
  "CERTIFICATE_UNKNOWN",
  "UNKNOWN_CA",
  "HANDSHAKE_FAILURE",
];

/** OpenSSL's names for a certificate chain that does not verify here, as Node gives them. */
const VERIFY_FAILURES = new Set([
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "CERT_SIGNATURE_FAILURE",
  "CERT_NOT_YET_VALID",
  "CERT_HAS_EXPIRED",
  "CERT_UNTRUSTED",
  "CERT_REJECTED",
  "INVALID_CA",
  "INVALID_PURPOSE",
  "PATH_LENGTH_EXCEEDED",
  "ERR_TLS_CERT_ALTNAME_INVALID",
]);

/** Why a connection did not come about. UNAVAILABLE, which is worth another try, unless TLS itself said no. */
export function connectionFailed(cause: unknown): ClientError {
  if (cause instanceof ClientError) return cause;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (VERIFY_FAILURES.has(code)) {
    return new ClientError(
      "SERVER_NOT_TRUSTED",
      {
        what: "nothing was sent to the server",
        why: `its certificate does not verify (${code})`,
        remedy: "check the authority and the server name; if both are right, somebody else answers at this address",
      },
      { cause },
    );
  }
  if (code.startsWith("ERR_SSL_") && CERTIFICATE_ALERTS.some((alert) => code.endsWith(`ALERT_${alert}`))) {
    return new ClientError(
      "CLIENT_CERTIFICATE_REFUSED",
      {
        what: "the server ended the handshake",
        why: "it wants a client certificate under its own authority",
        remedy: "pass the certificate and key that the model's owner issued",
      },
      { cause },
    );
  }
  return callFailed("UNAVAILABLE", "the server cannot be reached", { cause });
}

/**
 * The handshake was done, and the server hung up without a word: some servers (Node's among them) do that to a client
 * certificate they do not accept. It may also have died just then, so the call is worth another try.
 */
export function closedAfterHandshake(): ClientError {
  return new ClientError("CLOSED_AFTER_HANDSHAKE", {
    what: "the server ended the connection before it answered",
    why: "it hung up right after the TLS handshake, as servers do that refuse a client's certificate",
    remedy: "if it lasts, pass the certificate and key that the model's owner issued",
  });
}
