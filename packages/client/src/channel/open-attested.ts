import { once } from "node:events";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { Attestor } from "../attested/attestor.ts";
import { attestedConnectionFailed } from "../attested/refusals.ts";
import type { ChannelOptions } from "./options.ts";
import { type AttestedProtocol, attestedTlsOptions, tlsTarget } from "./tls-options.ts";

/** Handshakes with that protocol's name, and lets the other end prove what it is. That exchange also tells the verdict on the client's certificate. */
export async function openAttested(
  options: Pick<ChannelOptions, "address" | "tls">,
  attestor: Attestor,
  protocol: AttestedProtocol,
  timeoutMs: number,
): Promise<TLSSocket> {
  const { host, port, name, tls } = tlsTarget(options);
  const socket = connectTls({ host, port, ...attestedTlsOptions(name, tls, protocol) });
  socket.setNoDelay(true);
  const timer = setTimeout(() => socket.destroy(new Error("connecting took too long")), timeoutMs);
  // Whoever waits for the socket hears of the error; nobody may be waiting when it comes.
  socket.on("error", () => undefined);
  try {
    await once(socket, "secureConnect");
    await attestor.verify(socket);
    return socket;
  } catch (cause) {
    socket.destroy();
    throw attestedConnectionFailed(cause);
  } finally {
    clearTimeout(timer);
  }
}
