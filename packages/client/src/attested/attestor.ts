import { createHash, randomBytes } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { createVerifier, type Verifier } from "@cloister/attestation";
import { equalBytes } from "@cloister/encoding";
import {
  ATTESTED_H2,
  ATTESTED_HTTP1,
  type ConnectionBinding,
  type ConnectionEvidence,
  connectionReportData,
  decodeEvidenceResponse,
  encodeEvidenceRequest,
  EXPORTER_BYTES,
  EXPORTER_LABEL,
  MAX_EVIDENCE_RESPONSE_BYTES,
  NONCE_BYTES,
} from "@cloister/encoding/connection-evidence";
import { readPrefixedMessage } from "@cloister/encoding/read-message";
import { judge } from "./judge.ts";
import type { AttestationOptions, VerifiedReplica } from "./options.ts";
import { attestedConnectionFailed, refused } from "./refusals.ts";

/** Judges connections. One attestor serves any number of channels, and remembers verified collateral between connections. */
export interface Attestor {
  /**
   * Challenges the other end of a TLS connection and checks what it answers. The socket has agreed on ATTESTED_H2 or
   * ATTESTED_HTTP1, and nothing has been sent on it. Resolves when requests may be sent; otherwise the socket is destroyed.
   *
   * Throws `ClientError` with the code of the first check that fails.
   */
  verify(socket: TLSSocket): Promise<VerifiedReplica>;
}

export function createAttestor(options: AttestationOptions): Attestor {
  const verifier = createVerifier({ anchors: options.anchors });
  return {
    verify: async (socket) => {
      try {
        const replica = await verifyConnection(socket, verifier, options);
        options.onVerified?.(replica);
        return replica;
      } catch (cause) {
        socket.destroy();
        const error = attestedConnectionFailed(cause);
        options.onRefused?.(error);
        throw error;
      }
    },
  };
}

async function verifyConnection(
  socket: TLSSocket,
  verifier: Verifier,
  options: AttestationOptions,
): Promise<VerifiedReplica> {
  const startedAt = performance.now();
  checkConnection(socket);
  const own = ownBinding(socket);
  const certified = certifiedKeyDigest(socket);
  const evidence = await askForEvidence(socket, own.nonce);
  checkBinding(evidence, own, certified);
  const { publicKeySha256 } = evidence;
  const bound = {
    reportData: connectionReportData({ ...own, publicKeySha256 }),
    publicKeySha256,
    steps: certified === undefined ? RESUMED_STEPS : CONNECTION_STEPS,
    startedAt,
  };
  return judge(evidence, bound, options, (quote, collateral, at) => verifier.appraiseAsync({ quote }, collateral, at));
}

const ANSWERED = "the evidence answers this connection's challenge";
const SAME_CONNECTION = "the evidence is for this connection (TLS exporter)";
const CONNECTION_STEPS = [
  "TLS 1.3, not resumed",
  ANSWERED,
  "the evidence is for the key of the server's certificate",
  SAME_CONNECTION,
  "the quote's report data is the digest of all three",
];
const RESUMED_STEPS = [
  "TLS 1.3, resumed, and bound anew",
  ANSWERED,
  SAME_CONNECTION,
  "the quote's report data is the digest of both and of the serving key",
];

function checkConnection(socket: TLSSocket): void {
  if (socket.getProtocol() !== "TLSv1.3") throw refused("TLS_VERSION_REFUSED");
  if (socket.alpnProtocol !== ATTESTED_H2 && socket.alpnProtocol !== ATTESTED_HTTP1)
    throw refused("ATTESTATION_UNSUPPORTED");
}

/** What ties evidence to this connection. A resumed session has keys of its own too, and so an exporter value of its own. */
function ownBinding(socket: TLSSocket): Omit<ConnectionBinding, "publicKeySha256"> {
  return {
    nonce: new Uint8Array(randomBytes(NONCE_BYTES)),
    exporter: new Uint8Array(socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0))),
  };
}

/**
 * SHA-256 of the key in the server's certificate; `undefined` for a resumed session, which shows none. There the key is what the
 * enclave itself says: its quote is over the key and over the exporter value of this connection, which only the ends of it know.
 */
function certifiedKeyDigest(socket: TLSSocket): Uint8Array | undefined {
  if (socket.isSessionReused()) return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) throw refused("EVIDENCE_FOR_OTHER_KEY");
  const spki = certificate.publicKey.export({ format: "der", type: "spki" });
  return new Uint8Array(createHash("sha256").update(spki).digest());
}

async function askForEvidence(socket: TLSSocket, nonce: Uint8Array): Promise<ConnectionEvidence> {
  // HTTP/2 takes over the socket's native handle later: no write may be under way then.
  const written = new Promise<void>((resolve, reject) => {
    socket.write(encodeEvidenceRequest(nonce), (error) => (error == null ? resolve() : reject(error)));
  });
  const [message] = await Promise.all([readPrefixedMessage(socket, MAX_EVIDENCE_RESPONSE_BYTES), written]);
  const evidence = message && decodeEvidenceResponse(message);
  if (evidence === undefined) throw refused("EVIDENCE_MISSING");
  return evidence;
}

/** Compares what the replica says the quote is over, so that the refusal tells which part is another. */
function checkBinding(
  said: ConnectionBinding,
  own: Omit<ConnectionBinding, "publicKeySha256">,
  certified: Uint8Array | undefined,
): void {
  if (!equalBytes(said.nonce, own.nonce)) throw refused("EVIDENCE_REPLAYED");
  if (certified !== undefined && !equalBytes(said.publicKeySha256, certified)) throw refused("EVIDENCE_FOR_OTHER_KEY");
  if (!equalBytes(said.exporter, own.exporter)) throw refused("EVIDENCE_FOR_OTHER_CONNECTION");
}
