import { createHash, X509Certificate } from "node:crypto";
import type { AddressInfo } from "node:net";
import { createServer, type TLSSocket, type TlsOptions } from "node:tls";
import { createSimulatedPlatform, type SimulatedPlatform } from "@cloister/attestation/simulated";
import {
  ATTESTED_H2,
  type ConnectionBinding,
  connectionReportData,
  decodeEvidenceRequest,
  encodeEvidenceResponse,
  EXPORTER_BYTES,
  EXPORTER_LABEL,
  MAX_EVIDENCE_REQUEST_BYTES,
} from "@cloister/encoding/connection-evidence";
import { readPrefixedMessage } from "@cloister/encoding/read-message";
import {
  type EvidenceSource,
  type ModelServer,
  type ModelServerOptions,
  startModelServer,
} from "@cloister/model-server";
import { elementwiseEngine, type TestIdentity } from "@cloister/model-server/testing";

type RestOptions = NonNullable<ModelServerOptions["rest"]>;

export const MRENCLAVE = new Uint8Array(32).fill(0x11);
const MRSIGNER = new Uint8Array(32).fill(0x22);

/** A SIMULATED platform whose everything was issued now. */
export function testPlatform(): SimulatedPlatform {
  return createSimulatedPlatform({ now: new Date() });
}

export function quoteOn(
  platform: SimulatedPlatform,
  reportData: Uint8Array,
  changes: Partial<Parameters<SimulatedPlatform["quote"]>[0]> = {},
): Uint8Array {
  return platform.quote({ reportData, mrenclave: MRENCLAVE, mrsigner: MRSIGNER, ...changes });
}

/** A replica as it should be. */
export function startGoodReplica(
  platform: SimulatedPlatform,
  tls: TestIdentity & { readonly ca?: string; readonly requireClientCertificate?: boolean },
  replicaId = "good",
  { evidence, ...changes }: { evidence?: Partial<EvidenceSource>; rest?: RestOptions; insecureRest?: boolean } = {},
): Promise<ModelServer> {
  return startModelServer({
    host: "127.0.0.1",
    port: 0,
    tls,
    evidence: { quote: (reportData) => Promise.resolve(quoteOn(platform, reportData)), ...evidence },
    ...changes,
    models: [{ name: "half", version: 1, files: new Map() }],
    engine: elementwiseEngine(),
    replicaId,
  });
}

/** What a rogue answers a challenge with; nothing: it hangs up. */
export type RogueAnswer = (binding: ConnectionBinding, socket: TLSSocket) => Promise<Uint8Array | undefined>;

/** A server that lies, and writes down every byte that it could decrypt. */
export interface RogueReplica {
  readonly port: number;
  readonly decrypted: () => Buffer;
  /** Connections that are still open. */
  readonly openConnections: () => number;
  close(): Promise<void>;
}

export async function startRogueReplica(
  tls: TestIdentity,
  answer: RogueAnswer,
  options: TlsOptions = { ALPNProtocols: [ATTESTED_H2, "h2"] },
): Promise<RogueReplica> {
  const chunks: Buffer[] = [];
  const sockets = new Set<TLSSocket>();
  const server = createServer({ ...tls, ...options }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    capture(socket, chunks);
    serve(socket, tls, answer).catch(() => socket.destroy());
  });
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    decrypted: () => Buffer.concat(chunks),
    openConnections: () => sockets.size,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Everything that the socket ever gives, whoever reads it. */
function capture(socket: TLSSocket, chunks: Buffer[]): void {
  const push = socket.push.bind(socket);
  socket.push = (chunk: unknown, ...rest) => {
    if (Buffer.isBuffer(chunk)) chunks.push(chunk);
    return push(chunk, ...rest);
  };
}

async function serve(socket: TLSSocket, tls: TestIdentity, answer: RogueAnswer): Promise<void> {
  const request = await readPrefixedMessage(socket, MAX_EVIDENCE_REQUEST_BYTES);
  const nonce = request && decodeEvidenceRequest(request);
  if (nonce === undefined) return;
  const exporter = new Uint8Array(socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0)));
  const response = await answer({ nonce, exporter, publicKeySha256: keyDigest(tls.cert) }, socket);
  if (response === undefined) socket.destroy();
  else socket.write(response);
  // What a client sends after it should have refused.
  socket.resume();
}

/** SHA-256 of the SubjectPublicKeyInfo of a certificate. */
export function keyDigest(certificate: string): Uint8Array {
  const spki = new X509Certificate(certificate).publicKey.export({ format: "der", type: "spki" });
  return new Uint8Array(createHash("sha256").update(spki).digest());
}

/** An answer with a quote over `binding`. */
export function answerFor(
  platform: SimulatedPlatform,
  binding: ConnectionBinding,
  changes: Parameters<typeof quoteOn>[2] = {},
): Uint8Array {
  const quote = quoteOn(platform, connectionReportData(binding), changes);
  return encodeEvidenceResponse({ ...binding, quote, collateral: new Uint8Array(), releaseProof: new Uint8Array() });
}
