import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { connect, type TLSSocket } from "node:tls";
import { createRaTlsCertificate } from "@cloister/attestation/ra-tls";
import type { SimulatedPlatform, SimulatedQuoteOptions } from "@cloister/attestation/simulated";
import { encodePem } from "@cloister/encoding/pem";

const HOUR_MS = 3_600_000;

/** What an enclave needs to show itself. */
export interface EnclaveIdentity {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly certificateDer: Uint8Array;
}

export type Generation = "graphene" | "1.3" | "1.9";

/** Key type and extensions of each generation of Gramine's RA-TLS library. */
const FORMS = {
  graphene: { rsa: true, extensions: "legacy" },
  "1.3": { rsa: true, extensions: "legacy" },
  "1.9": { rsa: false, extensions: "both" },
} as const;

export interface EnclaveOptions extends Partial<Omit<SimulatedQuoteOptions, "reportData">> {
  readonly generation?: Generation;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

export const MRENCLAVE: Uint8Array = new Uint8Array(32).fill(0xe1);
const MRSIGNER: Uint8Array = new Uint8Array(32).fill(0x51);

/** A fresh key and RA-TLS certificate, as an enclave of that generation makes them. */
export async function createEnclave(
  platform: SimulatedPlatform,
  options: EnclaveOptions = {},
): Promise<EnclaveIdentity> {
  const { generation = "1.9", notBefore = new Date(Date.now() - HOUR_MS / 60), notAfter, ...quote } = options;
  const form = FORMS[generation];
  const keyPair = form.rsa
    ? generateKeyPairSync("rsa", { modulusLength: 3072 })
    : generateKeyPairSync("ec", { namedCurve: "P-384" });
  const certificateDer = await createRaTlsCertificate({
    keyPair,
    notBefore,
    notAfter: notAfter ?? new Date(Date.now() + HOUR_MS),
    extensions: form.extensions,
    quote: (reportData) =>
      Promise.resolve(platform.quote({ mrenclave: MRENCLAVE, mrsigner: MRSIGNER, ...quote, reportData })),
  });
  return { ...keyPair, certificateDer };
}

/** The TLS client of an enclave, handshake complete. Rejects with the error of the handshake. */
export async function connectEnclave(
  server: { host?: string; port: number; ca: string; serverName?: string },
  enclave: EnclaveIdentity | undefined,
  maxVersion: "TLSv1.2" | "TLSv1.3" = "TLSv1.2",
  session?: Buffer,
): Promise<TLSSocket> {
  const socket = connect({
    session,
    host: server.host ?? "127.0.0.1",
    port: server.port,
    ca: server.ca,
    servername: server.serverName ?? "broker.test",
    maxVersion,
    ...(enclave !== undefined && {
      cert: encodePem("CERTIFICATE", enclave.certificateDer),
      key: enclave.privateKey.export({ type: "pkcs8", format: "pem" }),
    }),
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("error", reject);
  });
  socket.on("error", () => undefined);
  return socket;
}

/** Everything the peer sends until it closes, or until `count` bytes are there. */
export async function receive(socket: TLSSocket, count = Infinity): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  return new Promise((resolve) => {
    const done = (): void => resolve(Buffer.concat(parts));
    socket.on("data", (part: Buffer) => {
      parts.push(part);
      length += part.length;
      if (length >= count) done();
    });
    socket.once("close", done);
  });
}

/**
 * Gramine's client, from the text of its protocol: request, header, secret, and what each generation does with the secret.
 * Returns the key as the application sees it, or undefined where that generation ends up without one.
 */
export async function stockProvision(socket: TLSSocket, generation: Generation): Promise<Buffer | undefined> {
  socket.write("SECRET_PROVISION_RA_TLS_REQUEST_V1\0");
  const answer = await receive(socket);
  const prefix = Buffer.from("SECRET_PROVISION_RA_TLS_RESPONSE_V1:\0");
  if (answer.length < 41 || !answer.subarray(0, 37).equals(prefix)) return undefined;
  const length = answer.readUInt32BE(37);
  const secret = answer.subarray(41, 41 + length);
  if (secret.length !== length || answer.length !== 41 + length) return undefined;
  if (generation !== "graphene") return secret.length === 16 ? secret : undefined;
  // 33 bytes with the NUL; anything else is ignored without a word.
  return /^[0-9a-f]{32}\0$/.test(secret.toString("latin1"))
    ? Buffer.from(secret.toString("latin1", 0, 32), "hex")
    : undefined;
}
