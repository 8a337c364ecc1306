import type { TLSSocket } from "node:tls";
import { equalBytes } from "@cloister/encoding";
import { type AdmissionContext, type Admitted, admit, type Refused } from "../admission/admission.ts";
import type { Presentation } from "../admission/appraisal.ts";
import { BrokerError } from "../broker-error.ts";
import type { Connection } from "./connection-table.ts";
import type { BrokerEvent } from "../monitoring/events.ts";
import { answerPeer, challengePeer } from "./native-session.ts";
import { Refusal } from "../admission/refusal.ts";
import { ByteStream } from "../wire/byte-stream.ts";
import { followUpAnswer, MAX_FOLLOW_UP_REQUEST_BYTES, parseFollowUpRequest } from "../wire/follow-up.ts";
import { encodeRefusal, encodeResponse, REQUEST } from "../wire/gramine.ts";
import { encodeJsonFrame, readJsonFrame } from "../wire/json-frame.ts";
import { NATIVE_REQUEST, nativeRefusal } from "../wire/native.ts";
import type { WorkQueue } from "./work-queue.ts";

export interface SessionContext extends AdmissionContext {
  readonly queue: WorkQueue;
  readonly emit: (event: BrokerEvent) => void;
}

/**
 * One connection after its handshake: the request says which protocol it speaks.
 * Whatever the peer does ends in a closed connection and an event.
 */
export async function serveSession(socket: TLSSocket, connection: Connection, context: SessionContext): Promise<void> {
  // No connection of TLS 1.2 is half open: whoever ends it discards what comes (RFC 5246, section 7.2.1). In TLS 1.3 the peer may
  // still wait for its answer.
  const stream = new ByteStream(socket, { endsAtOnce: socket.getProtocol() !== "TLSv1.3" });
  try {
    await exchange(socket, stream, connection, context);
    socket.end();
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    connection.endedFor ??= error.code === "MESSAGE_TRUNCATED" ? "CLIENT_ABORTED" : "REQUEST_MALFORMED";
    socket.destroy();
  }
}

async function exchange(
  socket: TLSSocket,
  stream: ByteStream,
  connection: Connection,
  context: SessionContext,
): Promise<void> {
  const request = await stream.read(REQUEST.length);
  if (equalBytes(request, REQUEST)) await serveGramine(socket, stream, connection, context);
  else if (equalBytes(request, NATIVE_REQUEST)) await serveNative(socket, stream, connection, context);
  else connection.endedFor ??= "REQUEST_MALFORMED";
}

/** Gramine's protocol, and behind it what an enclave of this system asks for. */
async function serveGramine(
  socket: TLSSocket,
  stream: ByteStream,
  connection: Connection,
  context: SessionContext,
): Promise<void> {
  // Of a completed handshake: the client has signed it with the key of this certificate.
  const certificate = socket.getPeerX509Certificate()?.raw;
  const outcome = await decide({ certificate }, stream, connection, context);
  if (!outcome.admitted) {
    await stream.write(encodeRefusal(outcome.refusal.codes));
    return;
  }
  await sendSecret(stream, outcome.secrets[0].bytes);
  await answerFollowUp(stream, outcome, context);
}

async function serveNative(
  socket: TLSSocket,
  stream: ByteStream,
  connection: Connection,
  context: SessionContext,
): Promise<void> {
  const challenged = await challengePeer(socket, stream);
  if (challenged === undefined) return;
  const outcome = await decide(challenged.presentation, stream, connection, context);
  if (outcome.admitted) await answerPeer(stream, challenged.evidence, outcome, context.servingCa);
  else await stream.write(encodeJsonFrame(nativeRefusal(outcome.refusal.codes)));
}

/** Decides in its turn, unless the peer leaves before, and tells the operator. */
async function decide(
  presentation: Presentation,
  { gone }: ByteStream,
  connection: Connection,
  context: SessionContext,
): Promise<Admitted | Refused> {
  connection.hasAsked = true;
  const startedAt = performance.now();
  const outcome = await (context.queue.run(() => admit(presentation, context), gone) ?? busy());
  const [time, { address }] = [context.clock().toISOString(), connection];
  if (outcome.admitted) {
    const facts = releaseFacts(outcome, performance.now() - startedAt);
    context.emit({ type: "release", time, address, ...facts });
  } else {
    context.emit({ type: "refusal", time, address, ...refusalFacts(outcome) });
  }
  return outcome;
}

const busy = (): Promise<Refused> =>
  Promise.resolve({
    admitted: false,
    refusal: new Refusal(["BROKER_BUSY"]),
    peer: undefined,
    peerKeySha256: null,
    proof: undefined,
  });

async function sendSecret(stream: ByteStream, secret: Uint8Array): Promise<void> {
  const frame = encodeResponse(secret);
  try {
    await stream.write(frame);
  } finally {
    secret.fill(0);
    frame.fill(0);
  }
}

async function answerFollowUp(stream: ByteStream, outcome: Admitted, context: SessionContext): Promise<void> {
  const { bundle, decision, proof } = outcome;
  const { model, serving } = decision.secrets;
  if (model === null || serving === null || bundle === undefined || context.servingCa === undefined) return;
  const message = await readJsonFrame(stream, MAX_FOLLOW_UP_REQUEST_BYTES);
  // A stock client has its key and leaves.
  if (message === undefined) return;
  const csr = parseFollowUpRequest(message);
  const answer = followUpAnswer({
    bundleManifest: bundle.manifest,
    ownerKey: bundle.ownerKey,
    minimumGeneration: model.minimumGeneration,
    model: { name: model.name, version: model.version },
    servingCertificate: await context.servingCa.issue(csr, serving),
    clientCa: context.servingCa.clientCa,
    clientVerify: serving.clientVerify,
    logProof: proof,
  });
  await stream.write(encodeJsonFrame(answer));
}

function releaseFacts({ decision, secrets, peer, proof }: Admitted, milliseconds: number) {
  return {
    workload: decision.workload,
    rule: decision.rule,
    keyId: secrets.map(({ keyId }) => keyId).join(" "),
    simulated: peer.claims.simulated,
    peerKeySha256: peer.publicKeySha256,
    logIndex: proof.leafIndex,
    milliseconds: Math.round(milliseconds * 1000) / 1000,
  };
}

function refusalFacts({ refusal, peer, peerKeySha256, proof }: Refused) {
  return {
    code: refusal.codes[0] ?? "INTERNAL_ERROR",
    denials: refusal.denials,
    simulated: peer?.claims.simulated ?? false,
    peerKeySha256,
    logIndex: proof?.leafIndex ?? null,
  };
}
