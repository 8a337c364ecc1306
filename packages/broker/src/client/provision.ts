import type { TLSSocket } from "node:tls";
import { BrokerError } from "../broker-error.ts";
import { ByteStream } from "../wire/byte-stream.ts";
import { exchange } from "./answer.ts";
import { connectBroker } from "./connect.ts";
import type { BrokerEndpoint, Provisioned, ProvisionOptions } from "./provisioned.ts";

const DEFAULT_TIMEOUT_MS = 20_000;

/**
 * Gets an enclave its wrap key, bundle manifest and serving identity. Tries the brokers in order; a failure to connect or to
 * shake hands (also an untrusted server) moves on to the next, anything after the request was sent is final: the key may be
 * out, so the caller starts again with a new RA-TLS key.
 *
 * Throws `BrokerError`: BROKER_UNREACHABLE, BROKER_NOT_TRUSTED or BROKER_HANDSHAKE_FAILED (of the last broker tried),
 * PROVISIONING_REFUSED (with `refusedFor`), PROVISIONING_TIMEOUT, PROVISIONING_CANCELLED, CONNECTION_LOST,
 * ANSWER_MALFORMED, LOG_PROOF_NOT_OURS.
 */
export async function provision(options: ProvisionOptions): Promise<Provisioned> {
  let last: unknown;
  for (const broker of options.brokers) {
    const limit = limits(options);
    let socket: TLSSocket;
    try {
      socket = await connectBroker(broker, options, limit);
    } catch (error) {
      if (options.signal?.aborted === true) throw cancelled(error);
      last = limit.aborted ? timedOut(error) : error;
      continue;
    }
    return await talk(socket, broker, options, limit);
  }
  throw last;
}

function limits({ timeoutMs = DEFAULT_TIMEOUT_MS, signal }: ProvisionOptions): AbortSignal {
  const timeout = AbortSignal.timeout(timeoutMs);
  return signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
}

async function talk(
  socket: TLSSocket,
  broker: BrokerEndpoint,
  options: ProvisionOptions,
  limit: AbortSignal,
): Promise<Provisioned> {
  const abort = (): void => void socket.destroy();
  limit.addEventListener("abort", abort, { once: true });
  if (limit.aborted) abort();
  try {
    return { broker, ...(await exchange(new ByteStream(socket), options)) };
  } catch (error) {
    if (options.signal?.aborted === true) throw cancelled(error);
    if (limit.aborted) throw timedOut(error);
    throw asOwnError(error);
  } finally {
    limit.removeEventListener("abort", abort);
    socket.destroy();
  }
}

/** Wire errors say what was wrong with a message; to the caller all of them are an answer that cannot be used. */
function asOwnError(error: unknown): unknown {
  if (!(error instanceof BrokerError)) return error;
  if (error.code === "MESSAGE_TRUNCATED") {
    return new BrokerError(
      "CONNECTION_LOST",
      {
        what: "provisioning failed",
        why: "the broker closed the connection before its answer was complete",
        remedy: "look at the broker's events; try again with a new RA-TLS key",
      },
      { cause: error },
    );
  }
  if (error.code !== "MESSAGE_MALFORMED" && error.code !== "MESSAGE_TOO_LARGE") return error;
  return new BrokerError("ANSWER_MALFORMED", { ...error.explanation, what: "provisioning failed" }, { cause: error });
}

function timedOut(cause: unknown): BrokerError {
  return new BrokerError(
    "PROVISIONING_TIMEOUT",
    { what: "provisioning failed", why: "the broker did not answer in time", remedy: "look at the broker; try again" },
    { cause },
  );
}

function cancelled(cause: unknown): BrokerError {
  return new BrokerError(
    "PROVISIONING_CANCELLED",
    { what: "provisioning was cancelled", why: "the caller asked for it", remedy: "none is needed" },
    { cause },
  );
}
