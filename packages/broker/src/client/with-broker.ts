import type { TLSSocket } from "node:tls";
import { BrokerError } from "../broker-error.ts";
import { connectBroker } from "./connect.ts";
import type { BrokerEndpoint, ConnectionOptions } from "./provisioned.ts";

const DEFAULT_TIMEOUT_MS = 20_000;

/**
 * Runs an exchange with the first broker that a TLS connection can be had to. What goes wrong after that is final. Throws the
 * codes of `provision`.
 */
export async function withBroker<T>(
  options: ConnectionOptions,
  exchange: (socket: TLSSocket) => Promise<T>,
): Promise<T & { broker: BrokerEndpoint }> {
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
    return { broker, ...(await talk(socket, options, limit, exchange)) };
  }
  throw last;
}

function limits({ timeoutMs = DEFAULT_TIMEOUT_MS, signal }: ConnectionOptions): AbortSignal {
  const timeout = AbortSignal.timeout(timeoutMs);
  return signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
}

async function talk<T>(
  socket: TLSSocket,
  options: ConnectionOptions,
  limit: AbortSignal,
  exchange: (socket: TLSSocket) => Promise<T>,
): Promise<T> {
  const abort = (): void => void socket.destroy();
  limit.addEventListener("abort", abort, { once: true });
  if (limit.aborted) abort();
  try {
    return await exchange(socket);
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
