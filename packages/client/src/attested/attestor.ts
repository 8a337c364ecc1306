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
  const binding = bindingOf(socket);
  const evidence = await askForEvidence(socket, binding.nonce);
  checkBinding(evidence, binding);
  const bound = {
    reportData: connectionReportData(binding),
    publicKeySha256: binding.publicKeySha256,
    steps: CONNECTION_STEPS,
    startedAt,
  };
  return judge(evidence, bound, options, (quote, collateral, at) => verifier.appraise({ quote }, collateral, at));
}

const CONNECTION_STEPS = [
  "TLS 1.3, not resumed",
  "the evidence answers this connection's challenge",
  "the evidence is for the key of the server's certificate",
  "the evidence is for this connection (TLS exporter)",
  "the quote's report data is the digest of all three",
];

function checkConnection(socket: TLSSocket): void {
  if (socket.getProtocol() !== "TLSv1.3") throw refused("TLS_VERSION_REFUSED");
  if (socket.alpnProtocol !== ATTESTED_H2 && socket.alpnProtocol !== ATTESTED_HTTP1)
    throw refused("ATTESTATION_UNSUPPORTED");
  // A resumed session shows no certificate, and its keys come from another handshake than the one that was judged.
  if (socket.isSessionReused()) throw refused("SESSION_RESUMED");
}

function bindingOf(socket: TLSSocket): ConnectionBinding {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) throw refused("EVIDENCE_FOR_OTHER_KEY");
  const spki = certificate.publicKey.export({ format: "der", type: "spki" });
  return {
    nonce: new Uint8Array(randomBytes(NONCE_BYTES)),
    exporter: new Uint8Array(socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0))),
    publicKeySha256: new Uint8Array(createHash("sha256").update(spki).digest()),
  };
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
function checkBinding(said: ConnectionBinding, ours: ConnectionBinding): void {
  if (!equalBytes(said.nonce, ours.nonce)) throw refused("EVIDENCE_REPLAYED");
  if (!equalBytes(said.publicKeySha256, ours.publicKeySha256)) throw refused("EVIDENCE_FOR_OTHER_KEY");
  if (!equalBytes(said.exporter, ours.exporter)) throw refused("EVIDENCE_FOR_OTHER_CONNECTION");
}
