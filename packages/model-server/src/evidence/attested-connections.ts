import { createHash } from "node:crypto";
import type { Server, TLSSocket, TlsOptions } from "node:tls";
import {
  type ATTESTED_H2,
  type ATTESTED_HTTP1,
  connectionReportData,
  decodeEvidenceRequest,
  encodeEvidenceResponse,
  EXPORTER_BYTES,
  EXPORTER_LABEL,
  MAX_EVIDENCE_REQUEST_BYTES,
} from "@cloister/encoding/connection-evidence";
import { readPrefixedMessage } from "@cloister/encoding/read-message";
import type { EvidenceSource } from "./evidence.ts";

const EXCHANGE_TIMEOUT_MS = 5000;

/** Names by which a client asks for evidence before HTTP/2 or before HTTP/1.1. */
type AttestedProtocol = typeof ATTESTED_H2 | typeof ATTESTED_HTTP1;

/** A listener's options, with evidence offered beside its own protocols. Who does not ask gets what it got before. */
export function attestedTlsOptions({ ALPNProtocols, ...options }: TlsOptions, protocol: AttestedProtocol): TlsOptions {
  const offered = [protocol, ...(ALPNProtocols as readonly string[])];
  return { ...options, ALPNCallback: ({ protocols }) => offered.find((name) => protocols.includes(name)) };
}

/**
 * Lets a server answer with evidence on each connection that agreed on the protocol; HTTP begins behind the answer. The
 * evidence is bound to the connection: a quote over the client's nonce, the connection's exporter value and the serving key
 * that this very connection was made with. A connection that asks for nothing, or for anything else, is closed.
 */
export function answerWithEvidence(server: Server, source: EvidenceSource, protocol: AttestedProtocol): void {
  const begin = server.listeners("secureConnection") as ((this: typeof server, socket: TLSSocket) => void)[];
  server.removeAllListeners("secureConnection");
  server.on("secureConnection", (socket: TLSSocket) => {
    if (socket.alpnProtocol !== protocol) for (const listener of begin) listener.call(server, socket);
    else {
      // An evidence failure concerns only its own connection, and the client learns nothing but that it ended.
      guarded(socket, () => answer(socket, source)).then(
        (isAnswered) => {
          if (isAnswered && !socket.destroyed) for (const listener of begin) listener.call(server, socket);
          else socket.destroy();
        },
        () => socket.destroy(),
      );
    }
  });
}

/** Runs the exchange with a limit of time, and with somebody who listens to the socket's errors. */
async function guarded(socket: TLSSocket, exchange: () => Promise<boolean>): Promise<boolean> {
  const onError = (): void => undefined;
  socket.on("error", onError);
  const timer = setTimeout(() => socket.destroy(), EXCHANGE_TIMEOUT_MS);
  try {
    return await exchange();
  } finally {
    clearTimeout(timer);
    // On a socket that ends here an error may still come.
    if (!socket.destroyed) socket.off("error", onError);
  }
}

/** One exchange. False: the connection is not to be used. */
async function answer(socket: TLSSocket, source: EvidenceSource): Promise<boolean> {
  // Below TLS 1.3 two connections can be made to have one exporter value (RFC 7627), and Node does not tell whether they are.
  if (socket.getProtocol() !== "TLSv1.3") return false;
  const request = await readPrefixedMessage(socket, MAX_EVIDENCE_REQUEST_BYTES);
  const nonce = request && decodeEvidenceRequest(request);
  const publicKeySha256 = servingKeySha256(socket);
  if (nonce === undefined || publicKeySha256 === undefined) return false;
  const exporter = new Uint8Array(socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0)));
  const binding = { nonce, exporter, publicKeySha256 };
  const [quote, collateral = new Uint8Array()] = await Promise.all([
    source.quote(connectionReportData(binding)),
    source.collateral?.(),
  ]);
  if (socket.destroyed) return false;
  const releaseProof = source.releaseProof?.(publicKeySha256) ?? new Uint8Array();
  await writeAll(socket, encodeEvidenceResponse({ ...binding, quote, collateral, releaseProof }));
  return true;
}

/** Of the key that the handshake of this connection was signed with: certificates are replaced while a server runs. */
export function servingKeySha256(socket: TLSSocket): Uint8Array | undefined {
  const spki = socket.getX509Certificate()?.publicKey.export({ format: "der", type: "spki" });
  return spki && new Uint8Array(createHash("sha256").update(spki).digest());
}

/** HTTP/2 takes over the socket's native handle: no write may be under way then, Node would end the process. */
function writeAll(socket: TLSSocket, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(bytes, (error) => (error == null ? resolve() : reject(error)));
  });
}
