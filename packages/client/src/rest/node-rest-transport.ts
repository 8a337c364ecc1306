import { Agent, type IncomingMessage, request as sendRequest } from "node:http";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { once } from "node:events";
import { ATTESTED_HTTP1 } from "@cloister/encoding/connection-evidence";
import { AddressBook } from "../channel/address-book.ts";
import { REPLICA_HEADER } from "../channel/attempt.ts";
import { refuseSilentPlaintext } from "../channel/channel.ts";
import { connectionFailed } from "../channel/handshake-error.ts";
import { openAttested } from "../channel/open-attested.ts";
import type { Address, ChannelOptions } from "../channel/options.ts";
import { remaining, repeated } from "../channel/retry.ts";
import { plainTlsOptions, tlsTarget } from "../channel/tls-options.ts";
import { callFailed, ClientError } from "../errors.ts";
import type { RestRequest, RestResponse, RestTransport } from "./rest-transport.ts";

const DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
const DEFAULT_CONNECT_TIMEOUT_MS = 5000;

/**
 * REST over plain, mutual or attested TLS: the same options as a gRPC channel, the REST listener's address. An attested connection is
 * appraised before its first request byte. Throws PLAINTEXT_REFUSED.
 */
export function createRestTransport(options: ChannelOptions): RestTransport {
  refuseSilentPlaintext(options);
  const agent = new ConnectionAgent(options);
  return {
    send: (request) => repeated(request, (endsAt, signal) => sendOnce(options, agent, request, endsAt, signal)),
    close: () => {
      agent.destroy();
      return Promise.resolve();
    },
  };
}

/** Opens each connection as the options say, and keeps it for later requests. HTTP does not see what secures it. */
class ConnectionAgent extends Agent {
  readonly #channel: ChannelOptions;
  readonly #addresses: AddressBook;

  constructor(channel: ChannelOptions) {
    super({ keepAlive: true, maxSockets: channel.connections ?? 1 });
    this.#channel = channel;
    this.#addresses = new AddressBook(channel);
  }

  override createConnection(_options: unknown, done?: (error: Error | null, socket: Socket) => void): undefined {
    this.#open().then(
      (socket) => done?.(null, socket),
      // Node looks at the socket only where there is no error.
      (error: Error) => done?.(error, undefined as unknown as Socket),
    );
  }

  async #open(): Promise<Socket> {
    const { address, serverName } = await this.#addresses.next();
    const { tls, attestation, connectTimeoutMs = DEFAULT_CONNECT_TIMEOUT_MS } = this.#channel;
    const timeoutMs = connectTimeoutMs;
    if (tls === undefined) return opened(connectTcp({ ...address, noDelay: true }), "connect", timeoutMs);
    const target = { address, tls: { serverName, ...tls } };
    if (attestation !== undefined) return openAttested(target, attestation, ATTESTED_HTTP1, timeoutMs);
    return opened(tlsSocket(target), "secureConnect", timeoutMs);
  }
}

function tlsSocket(options: { address: Address; tls: NonNullable<ChannelOptions["tls"]> }): Socket {
  const { host, port, name, tls } = tlsTarget(options);
  return connectTls({ host, port, ...plainTlsOptions(name, tls, "http/1.1") }).setNoDelay(true);
}

async function opened(socket: Socket, event: "connect" | "secureConnect", timeoutMs: number): Promise<Socket> {
  const timer = setTimeout(() => socket.destroy(new Error("connecting took too long")), timeoutMs);
  try {
    await once(socket, event);
    return socket;
  } catch (cause) {
    socket.destroy();
    throw connectionFailed(cause);
  } finally {
    clearTimeout(timer);
  }
}

async function sendOnce(
  { address, maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES }: ChannelOptions,
  agent: Agent,
  { method, path, body, traceParent }: RestRequest,
  endsAt: number | undefined,
  signal: AbortSignal | undefined,
): Promise<RestResponse> {
  const leftMs = remaining(endsAt);
  const late = leftMs === undefined ? undefined : AbortSignal.timeout(Math.ceil(leftMs));
  const either = AbortSignal.any([signal, late].filter((each) => each !== undefined));
  const headers = {
    "content-type": "application/json",
    "content-length": body.length,
    ...(traceParent !== undefined && { traceparent: traceParent }),
  };
  try {
    const sent = sendRequest({ ...address, agent, method, path, headers, signal: either });
    sent.end(body);
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    const replica = response.headers[REPLICA_HEADER];
    return {
      status: response.statusCode ?? 0,
      body: await readBounded(response, maxMessageBytes),
      replica: replica === undefined ? undefined : String(replica),
    };
  } catch (cause) {
    if (signal?.aborted === true) throw callFailed("CANCELLED", "the call was cancelled", { cause });
    if (late?.aborted === true) throw callFailed("DEADLINE_EXCEEDED", "Deadline Exceeded", { cause });
    if (cause instanceof ClientError) throw cause;
    throw callFailed("UNAVAILABLE", "the connection was lost", { cause });
  }
}

async function readBounded(response: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) throw callFailed("RESOURCE_EXHAUSTED", "the answer is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}
