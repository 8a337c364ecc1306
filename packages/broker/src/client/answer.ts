import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import { asBuffer, fromUtf8, Secret } from "@cloister/encoding";
import { type LogProof, verifyLogProof } from "@cloister/release-log";
import { BrokerError, type BrokerErrorCode } from "../broker-error.ts";
import type { ByteStream } from "../wire/byte-stream.ts";
import { followUpRequest, MAX_FOLLOW_UP_ANSWER_BYTES, parseFollowUpAnswer } from "../wire/follow-up.ts";
import { decodeHeader, HEADER_BYTES, MAX_REFUSAL_BYTES, REQUEST } from "../wire/gramine.ts";
import { encodeJsonFrame, readJsonFrame } from "../wire/json-frame.ts";
import type { Provisioned, ProvisionOptions } from "./provisioned.ts";

const WRAP_KEY_BYTES = 16;
const CODE = /^[A-Z][A-Z0-9_]{0,63}$/;

/** The client's half of one exchange over a channel whose server is known: key, then manifest and serving identity. */
export async function exchange(
  stream: ByteStream,
  options: Pick<ProvisionOptions, "csr" | "privateKey" | "logKey">,
): Promise<Omit<Provisioned, "broker">> {
  await stream.write(REQUEST);
  const wrapKey = await readWrapKey(stream);
  try {
    await stream.write(encodeJsonFrame(followUpRequest(options.csr)));
    const message = await readJsonFrame(stream, MAX_FOLLOW_UP_ANSWER_BYTES);
    if (message === undefined) throw lost();
    const { ownerKey, ...answer } = parseFollowUpAnswer(message);
    checkProof(answer.logProof, createPublicKey(options.privateKey), options.logKey);
    return { ...answer, wrapKey, ownerKey: importOwnerKey(ownerKey) };
  } catch (error) {
    wrapKey.wipe();
    throw error;
  }
}

async function readWrapKey(stream: ByteStream): Promise<Secret> {
  const header = decodeHeader(await stream.read(HEADER_BYTES));
  if (header === undefined) throw malformed("it does not start as Gramine's protocol has it");
  if (header.kind === "refusal") throw refused(await readCodes(stream, header.length));
  if (header.length !== WRAP_KEY_BYTES) throw malformed("the secret is not a wrap key of 16 bytes");
  return new Secret((await stream.read(header.length)).slice(), "wrap key");
}

async function readCodes(stream: ByteStream, length: number): Promise<string[]> {
  if (length === 0 || length > MAX_REFUSAL_BYTES) throw malformed("the length of the refusal is not acceptable");
  const codes = fromUtf8(await stream.read(length))?.split("\n") ?? [];
  // A code goes into messages and logs: nothing but a code may pass.
  if (codes.length === 0 || !codes.every((code) => CODE.test(code))) throw malformed("the refusal does not hold codes");
  return codes;
}

/** The owner's Ed25519 key. Throws ANSWER_MALFORMED. */
export function importOwnerKey(der: Uint8Array): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: asBuffer(der), type: "spki", format: "der" });
  } catch (error) {
    throw malformed("the owner's key is not a public key", error);
  }
  if (key.asymmetricKeyType !== "ed25519") throw malformed("the owner's key is not an Ed25519 key");
  return key;
}

/** The release has to be in the log, as a release to this very key. */
export function checkProof(proof: LogProof, publicKey: KeyObject, logKey: KeyObject | undefined): void {
  const { entry } = verifyProof(proof, logKey);
  const spki = publicKey.export({ type: "spki", format: "der" });
  const isOurs = entry.peerKeySha256 === createHash("sha256").update(spki).digest("hex");
  if (!isOurs || entry.decision !== "released") throw notOurs();
}

function verifyProof(proof: LogProof, publicKey: KeyObject | undefined): ReturnType<typeof verifyLogProof> {
  try {
    return verifyLogProof(proof, publicKey === undefined ? {} : { publicKey });
  } catch (error) {
    throw notOurs(error);
  }
}

function failure(code: BrokerErrorCode, why: string, remedy: string, cause?: unknown): BrokerError {
  return new BrokerError(code, { what: "provisioning failed", why, remedy }, { cause });
}

export function malformed(why: string, cause?: unknown): BrokerError {
  return failure("ANSWER_MALFORMED", `the answer was refused: ${why}`, "use the same version on both sides", cause);
}

export function lost(): BrokerError {
  const why = "the broker closed the connection after the key";
  return failure("CONNECTION_LOST", why, "look at the broker's events; try again with a new RA-TLS key");
}

function notOurs(cause?: unknown): BrokerError {
  const why = "the log proof does not show the release to this key";
  return failure(
    "LOG_PROOF_NOT_OURS",
    why,
    "do not serve with this key; compare the broker's log with another copy",
    cause,
  );
}

export function refused(codes: readonly string[]): BrokerError {
  return new BrokerError(
    "PROVISIONING_REFUSED",
    {
      what: "provisioning was refused",
      why: codes.join(", "),
      remedy: "the broker's log names rule, claim, expected and got for each code",
    },
    { refusedFor: codes },
  );
}
