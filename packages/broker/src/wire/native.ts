import { createHash } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { concatBytes, utf8 } from "@cloister/encoding";
import { fromBase64, toBase64 } from "@cloister/encoding/base64";
import type { CanonicalJsonInput } from "@cloister/encoding/canonical-json";
import { z } from "zod";
import { BrokerError } from "../broker-error.ts";
import { MAX_FOLLOW_UP_ANSWER_BYTES } from "./follow-up.ts";

// The native protocol, docs/reference/provisioning-protocol.md. It is told from Gramine's by the first 35 bytes. After them both
// sides speak canonical JSON in frames; the bytes of the secrets follow the answer, so that they are never text.

/** 35 bytes, as long as Gramine's request. */
export const NATIVE_REQUEST: Uint8Array = utf8("CLOISTER_PROVISION_NATIVE_REQUEST1\0");
export const NONCE_BYTES = 32;
export const MAX_EVIDENCE_BYTES = 65_536;
export const MAX_CHALLENGE_BYTES = 256;
export const MAX_NATIVE_ANSWER_BYTES: number = MAX_FOLLOW_UP_ANSWER_BYTES;
const MAX_SECRET_BYTES = 4096;
const EXPORTER_LABEL = "EXPORTER-cloister-provision";
const EXPORTER_BYTES = 32;
const BINDING_PREFIX = utf8("cloister-channel-binding/1\0");

/**
 * What the evidence's nonce has to be: a digest of a secret of this TLS connection (RFC 5705; RFC 8446, section 7.5) with the
 * broker's nonce as its context. Neither another connection nor an earlier moment has it.
 */
export function channelBinding(socket: TLSSocket, nonce: Uint8Array): Uint8Array {
  const exported = socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.from(nonce));
  return new Uint8Array(
    createHash("sha256")
      .update(concatBytes(BINDING_PREFIX, new Uint8Array(exported)))
      .digest(),
  );
}

const base64 = (maxBytes: number): z.ZodType<Uint8Array, string> =>
  z
    .base64()
    .max(Math.ceil(maxBytes / 3) * 4)
    .transform((text) => fromBase64(text) ?? new Uint8Array());

const natural = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

const challengeSchema = z.strictObject({
  type: z.literal("cloister-challenge/1"),
  nonce: base64(NONCE_BYTES).refine((nonce) => nonce.length === NONCE_BYTES),
});

const evidenceSchema = z.strictObject({
  type: z.literal("cloister-evidence/1"),
  certificate: base64(32_768),
  csr: base64(16_384).nullable(),
});

const refusalSchema = z.strictObject({
  type: z.literal("cloister-refusal/1"),
  codes: z
    .array(z.string().regex(/^[A-Z][A-Z0-9_]{0,63}$/))
    .min(1)
    .max(32),
});

const answerSchema = z.strictObject({
  type: z.literal("cloister-answer/1"),
  secrets: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(128),
        keyId: z.string().min(1).max(160),
        bytes: z.int().min(1).max(MAX_SECRET_BYTES),
      }),
    )
    .min(1)
    .max(64),
  model: z
    .strictObject({
      name: z.string().min(1).max(128),
      version: natural,
      minimumGeneration: natural,
      bundleManifest: base64(MAX_FOLLOW_UP_ANSWER_BYTES),
      ownerKey: base64(256),
    })
    .nullable(),
  serving: z
    .strictObject({
      certificate: z.string().max(65_536),
      clientCa: z.string().max(65_536).nullable(),
      clientVerify: z.boolean(),
    })
    .nullable(),
  leaseSeconds: natural.nullable(),
  logProof: z.strictObject({
    leafIndex: natural,
    entry: base64(16_384),
    path: z.array(base64(32)).max(64),
    checkpoint: z.string().max(1024),
  }),
});

export type NativeEvidence = Omit<z.output<typeof evidenceSchema>, "type">;
/** What the broker says before the bytes of the secrets. */
export type NativeAnswer = Omit<z.output<typeof answerSchema>, "type">;

export const challenge = (nonce: Uint8Array): CanonicalJsonInput => ({
  type: "cloister-challenge/1",
  nonce: toBase64(nonce),
});

export const nativeEvidence = ({ certificate, csr }: NativeEvidence): CanonicalJsonInput => ({
  type: "cloister-evidence/1",
  certificate: toBase64(certificate),
  csr: csr === null ? null : toBase64(csr),
});

export const nativeRefusal = (codes: readonly string[]): CanonicalJsonInput => ({ type: "cloister-refusal/1", codes });

export function nativeAnswer({ model, serving, secrets, logProof, leaseSeconds }: NativeAnswer): CanonicalJsonInput {
  return {
    type: "cloister-answer/1",
    secrets: secrets.map(({ name, keyId, bytes }) => ({ name, keyId, bytes })),
    model:
      model === null
        ? null
        : { ...model, bundleManifest: toBase64(model.bundleManifest), ownerKey: toBase64(model.ownerKey) },
    serving: serving === null ? null : { ...serving },
    leaseSeconds,
    logProof: { ...logProof, entry: toBase64(logProof.entry), path: logProof.path.map(toBase64) },
  };
}

/** The nonce. Throws ANSWER_MALFORMED. */
export function parseChallenge(value: unknown): Uint8Array {
  const parsed = challengeSchema.safeParse(value);
  if (!parsed.success) throw malformed("ANSWER_MALFORMED", parsed.error);
  return parsed.data.nonce;
}

/** Throws MESSAGE_MALFORMED. */
export function parseNativeEvidence(value: unknown): NativeEvidence {
  const parsed = evidenceSchema.safeParse(value);
  if (!parsed.success) throw malformed("MESSAGE_MALFORMED", parsed.error);
  return parsed.data;
}

/** The answer, or the codes of a refusal. Throws ANSWER_MALFORMED. */
export function parseNativeAnswer(value: unknown): NativeAnswer | { readonly refusedFor: readonly string[] } {
  const refusal = refusalSchema.safeParse(value);
  if (refusal.success) return { refusedFor: refusal.data.codes };
  const answer = answerSchema.safeParse(value);
  if (!answer.success) throw malformed("ANSWER_MALFORMED", answer.error);
  return answer.data;
}

function malformed(code: "ANSWER_MALFORMED" | "MESSAGE_MALFORMED", cause: unknown): BrokerError {
  return new BrokerError(
    code,
    {
      what: "a message of the native protocol was refused",
      why: "it does not have the fields of its type",
      remedy: "use the same version on both sides",
    },
    { cause },
  );
}
