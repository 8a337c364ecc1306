import type { TLSSocket } from "node:tls";
import { Secret } from "@cloister/encoding";
import type { ByteStream } from "../wire/byte-stream.ts";
import { encodeJsonFrame, readJsonFrame } from "../wire/json-frame.ts";
import {
  channelBinding,
  MAX_CHALLENGE_BYTES,
  MAX_NATIVE_ANSWER_BYTES,
  NATIVE_REQUEST,
  type NativeAnswer,
  nativeEvidence,
  parseChallenge,
  parseNativeAnswer,
} from "../wire/native.ts";
import { checkProof, importOwnerKey, lost, malformed, refused } from "./answer.ts";
import type { NamedSecret, NativeProvisioned, NativeProvisionOptions } from "./provisioned.ts";

/** Name of the workload's own key in an answer. */
const KEY_NAME = "key";

/** The client's half of the native protocol over a channel whose server is known. */
export async function exchangeNative(
  socket: TLSSocket,
  stream: ByteStream,
  options: Pick<NativeProvisionOptions, "publicKey" | "certificate" | "csr" | "logKey">,
): Promise<Omit<NativeProvisioned, "broker">> {
  await stream.write(NATIVE_REQUEST);
  const challenge = await readJsonFrame(stream, MAX_CHALLENGE_BYTES);
  if (challenge === undefined) throw lost();
  const certificate = await options.certificate(channelBinding(socket, parseChallenge(challenge)));
  await stream.write(encodeJsonFrame(nativeEvidence({ certificate, csr: options.csr ?? null })));
  const message = await readJsonFrame(stream, MAX_NATIVE_ANSWER_BYTES);
  if (message === undefined) throw lost();
  const answer = parseNativeAnswer(message);
  if ("refusedFor" in answer) throw refused(answer.refusedFor);
  const received = await readSecrets(stream, answer);
  try {
    checkProof(answer.logProof, options.publicKey, options.logKey);
    const { model, serving, leaseSeconds, logProof } = answer;
    return {
      ...sortSecrets(received),
      model: model === null ? null : { ...model, ownerKey: importOwnerKey(model.ownerKey) },
      serving,
      leaseSeconds,
      logProof,
    };
  } catch (error) {
    for (const { secret } of received) secret.wipe();
    throw error;
  }
}

interface Received extends NamedSecret {
  readonly name: string;
}

async function readSecrets(stream: ByteStream, { secrets }: NativeAnswer): Promise<Received[]> {
  const received: Received[] = [];
  for (const { name, keyId, bytes } of secrets) {
    const chunk = await stream.read(bytes);
    received.push({ name, keyId, secret: new Secret(new Uint8Array(chunk), `secret ${name}`) });
    // A part of the socket's buffer.
    chunk.fill(0);
  }
  return received;
}

function sortSecrets(received: readonly Received[]): Pick<NativeProvisioned, "keys" | "secrets"> {
  const own = received.filter(({ name }) => name === KEY_NAME).map(({ keyId, secret }) => ({ keyId, secret }));
  const [newest, ...older] = own;
  if (newest === undefined) throw malformed("it does not hold the workload's key");
  const others = received.filter(({ name }) => name !== KEY_NAME);
  return { keys: [newest, ...older], secrets: new Map(others.map(({ name, secret }) => [name, secret])) };
}
