import type { Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { encodePem } from "@cloister/encoding/pem";
import { BrokerError, type BrokerErrorCode } from "../broker-error.ts";
import type { BrokerEndpoint, ConnectionOptions } from "./provisioned.ts";

/**
 * Connects to one broker and completes the handshake: the broker's certificate has to chain to `ca` and carry `serverName`.
 * Throws BROKER_UNREACHABLE, BROKER_NOT_TRUSTED or BROKER_HANDSHAKE_FAILED.
 */
export async function connectBroker(
  { host, port, serverName }: BrokerEndpoint,
  { ca, privateKey, certificateDer }: Pick<ConnectionOptions, "ca" | "privateKey" | "certificateDer">,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const socket = connectTls({
    host,
    port,
    servername: serverName,
    ca,
    ...(certificateDer !== undefined && { cert: encodePem("CERTIFICATE", certificateDer) }),
    ...(privateKey !== undefined && { key: privateKey.export({ type: "pkcs8", format: "pem" }) }),
    minVersion: "TLSv1.2",
    rejectUnauthorized: true,
  });
  const abort = (): void => void socket.destroy(new Error("aborted"));
  signal.addEventListener("abort", abort, { once: true });
  try {
    await secured(socket);
    return socket;
  } catch (error) {
    socket.destroy();
    throw explain(error, isConnected(socket));
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function secured(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const closed = (): void => reject(new Error("closed during the handshake"));
    socket.once("error", reject);
    socket.once("close", closed);
    socket.once("secureConnect", () => {
      socket.off("error", reject);
      socket.off("close", closed);
      resolve();
    });
  });
}

const isConnected = (socket: Socket): boolean => socket.bytesRead > 0 || socket.bytesWritten > 0;

/** Codes of Node and OpenSSL for a server certificate that does not hold. */
const TRUST_FAILURE =
  /^(?:CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_CA|ERR_TLS_CERT_ALTNAME|HOSTNAME_MISMATCH)/;

function explain(cause: unknown, wasConnected: boolean): BrokerError {
  const code = cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : "no code";
  if (TRUST_FAILURE.test(code)) {
    const why = `its certificate does not chain to the CA of this enclave or has another name (${code})`;
    return failure(
      "BROKER_NOT_TRUSTED",
      why,
      "check name, expiry and CA; a host may have redirected the connection",
      cause,
    );
  }
  return wasConnected
    ? failure("BROKER_HANDSHAKE_FAILED", `the TLS handshake failed (${code})`, "look at the broker's events", cause)
    : failure("BROKER_UNREACHABLE", `no connection (${code})`, "check address, port and network policy", cause);
}

function failure(code: BrokerErrorCode, why: string, remedy: string, cause: unknown): BrokerError {
  return new BrokerError(code, { what: "the broker was not reached", why, remedy }, { cause });
}
