import { randomBytes } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { parseCsr, subjectPublicKeyInfo } from "@cloister/encoding/x509-builder";
import type { Admitted } from "../admission/admission.ts";
import type { Presentation } from "../admission/appraisal.ts";
import { BrokerError } from "../broker-error.ts";
import type { ServingCa } from "../options.ts";
import type { ByteStream } from "../wire/byte-stream.ts";
import { encodeJsonFrame, readJsonFrame } from "../wire/json-frame.ts";
import {
  challenge,
  channelBinding,
  MAX_EVIDENCE_BYTES,
  type NativeAnswer,
  nativeAnswer,
  type NativeEvidence,
  NONCE_BYTES,
  parseNativeEvidence,
} from "../wire/native.ts";

/** Sends the nonce and reads the evidence. Undefined where the peer leaves instead; throws MESSAGE_ codes. */
export async function challengePeer(
  socket: TLSSocket,
  stream: ByteStream,
): Promise<{ evidence: NativeEvidence; presentation: Presentation } | undefined> {
  const nonce = new Uint8Array(randomBytes(NONCE_BYTES));
  await stream.write(encodeJsonFrame(challenge(nonce)));
  const message = await readJsonFrame(stream, MAX_EVIDENCE_BYTES);
  if (message === undefined) return undefined;
  const evidence = parseNativeEvidence(message);
  const csrSpki = evidence.csr === null ? undefined : spkiOf(evidence.csr);
  const native = { binding: channelBinding(socket, nonce), csrSpki };
  return { evidence, presentation: { certificate: evidence.certificate, native } };
}

function spkiOf(csr: Uint8Array): Uint8Array {
  try {
    return subjectPublicKeyInfo(parseCsr(csr).publicKey);
  } catch (cause) {
    throw new BrokerError(
      "MESSAGE_MALFORMED",
      { what: "the evidence was refused", why: "its certificate request does not hold", remedy: "make it anew" },
      { cause },
    );
  }
}

/** Sends everything that the policy gives. The secrets are wiped, whatever happens. */
export async function answerPeer(
  stream: ByteStream,
  evidence: NativeEvidence,
  admitted: Admitted,
  servingCa: ServingCa | undefined,
): Promise<void> {
  try {
    await stream.write(encodeJsonFrame(nativeAnswer(await contentOf(evidence, admitted, servingCa))));
    for (const { bytes } of admitted.secrets) await stream.write(bytes);
  } finally {
    for (const { bytes } of admitted.secrets) bytes.fill(0);
  }
}

async function contentOf(
  { csr }: NativeEvidence,
  { bundle, decision, proof, secrets }: Admitted,
  servingCa: ServingCa | undefined,
): Promise<NativeAnswer> {
  const { model, serving, leaseSeconds } = decision.secrets;
  return {
    secrets: secrets.map(({ name, keyId, bytes }) => ({ name, keyId, bytes: bytes.length })),
    model:
      model === null || bundle === undefined
        ? null
        : {
            name: model.name,
            version: model.version,
            minimumGeneration: model.minimumGeneration,
            bundleManifest: bundle.manifest,
            ownerKey: bundle.ownerKey,
          },
    serving:
      serving === null || servingCa === undefined || csr === null
        ? null
        : {
            certificate: await servingCa.issue(csr, serving),
            clientCa: servingCa.clientCa,
            clientVerify: serving.clientVerify,
          },
    leaseSeconds,
    logProof: {
      leafIndex: proof.leafIndex,
      entry: proof.entry,
      path: [...proof.path],
      checkpoint: proof.checkpoint,
    },
  };
}
