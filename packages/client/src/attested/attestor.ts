import { createHash, randomBytes } from "node:crypto";
import type { TLSSocket } from "node:tls";
import {
  AttestationError,
  type Collateral,
  createVerifier,
  decodeCollateral,
  type VerifiedClaims,
  type Verifier,
} from "@cloister/attestation";
import { equalBytes, toHex } from "@cloister/encoding";
import {
  ATTESTED_H2,
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
import { type Allowed, evaluate } from "@cloister/policy";
import type { AttestationOptions, VerifiedReplica } from "./options.ts";
import { appraisalRefused, attestedConnectionFailed, policyRefused, refused } from "./refusals.ts";

/** Judges connections. One attestor serves any number of channels, and remembers verified collateral between connections. */
export interface Attestor {
  /**
   * Challenges the other end of a TLS connection and checks what it answers. The socket has agreed on ATTESTED_H2, and
   * nothing has been sent on it. Resolves when requests may be sent; otherwise the socket is destroyed.
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
  const { quote } = evidence;
  const collateral = await collateralFor(evidence, options);
  const at = options.clock?.() ?? new Date();
  const claims = appraise(verifier, quote, collateral, at);
  if (!equalBytes(claims.reportData, connectionReportData(binding))) throw refused("EVIDENCE_NOT_BOUND");
  const decision = decide(claims, at, options);
  return {
    claims,
    decision,
    publicKeySha256: toHex(binding.publicKeySha256),
    quote,
    collateral,
    isStapled: options.collateral === undefined,
    steps: [...CONNECTION_STEPS, ...claims.checked, `policy: ${decision.rule}`],
    durationMs: performance.now() - startedAt,
  };
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
  if (socket.alpnProtocol !== ATTESTED_H2) throw refused("ATTESTATION_UNSUPPORTED");
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

async function collateralFor(evidence: ConnectionEvidence, { collateral }: AttestationOptions): Promise<Collateral> {
  try {
    return collateral === undefined ? decodeCollateral(evidence.collateral) : await collateral(evidence.quote);
  } catch (cause) {
    throw refused("COLLATERAL_UNAVAILABLE", cause);
  }
}

function appraise(verifier: Verifier, quote: Uint8Array, collateral: Collateral, at: Date): VerifiedClaims {
  try {
    return verifier.appraise({ quote }, collateral, at);
  } catch (error) {
    throw error instanceof AttestationError ? appraisalRefused(error) : error;
  }
}

function decide(claims: VerifiedClaims, at: Date, { policy }: AttestationOptions): Allowed {
  const decision = evaluate(policy, claims, at);
  if (!decision.allowed) throw policyRefused(decision.denials);
  return decision;
}
