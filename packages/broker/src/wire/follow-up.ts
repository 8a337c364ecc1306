import type { CanonicalJsonInput } from "@cloister/encoding/canonical-json";
import type { LogProof } from "@cloister/release-log";
import { z } from "zod";
import { BrokerError } from "../broker-error.ts";

// What an enclave of this system asks for after its key, and what it gets. Both are canonical JSON in a frame.

const FOLLOW_UP_TYPE = "cloister-provision/1";
export const MAX_FOLLOW_UP_REQUEST_BYTES = 32_768;
/** Bundle manifests list every file of a model; a thousand of them are about a quarter of this. */
export const MAX_FOLLOW_UP_ANSWER_BYTES = 4 << 20;
const MAX_CSR_BYTES = 16_384;

const base64 = (maxBytes: number): z.ZodType<Uint8Array, string> =>
  z
    .base64()
    .max(Math.ceil(maxBytes / 3) * 4)
    .transform((text) => new Uint8Array(Buffer.from(text, "base64")));

const requestSchema = z.strictObject({ type: z.literal(FOLLOW_UP_TYPE), csr: base64(MAX_CSR_BYTES) });

const natural = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

const answerSchema = z.strictObject({
  bundleManifest: base64(MAX_FOLLOW_UP_ANSWER_BYTES),
  ownerKey: base64(256),
  minimumGeneration: natural,
  model: z.strictObject({ name: z.string().min(1).max(128), version: natural }),
  servingCertificate: z.string().max(65_536),
  clientCa: z.string().max(65_536).nullable(),
  clientVerify: z.boolean(),
  logProof: z.strictObject({
    leafIndex: natural,
    entry: base64(16_384),
    path: z.array(base64(32)).max(64),
    checkpoint: z.string().max(1024),
  }),
});

export interface FollowUpAnswer {
  readonly bundleManifest: Uint8Array;
  readonly ownerKey: Uint8Array;
  readonly minimumGeneration: number;
  readonly model: { readonly name: string; readonly version: number };
  readonly servingCertificate: string;
  readonly clientCa: string | null;
  readonly clientVerify: boolean;
  readonly logProof: LogProof;
}

const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

export function followUpRequest(csr: Uint8Array): CanonicalJsonInput {
  return { type: FOLLOW_UP_TYPE, csr: toBase64(csr) };
}

export function followUpAnswer(answer: FollowUpAnswer): CanonicalJsonInput {
  const { bundleManifest, ownerKey, logProof, ...rest } = answer;
  return {
    ...rest,
    model: { name: rest.model.name, version: rest.model.version },
    bundleManifest: toBase64(bundleManifest),
    ownerKey: toBase64(ownerKey),
    logProof: {
      leafIndex: logProof.leafIndex,
      entry: toBase64(logProof.entry),
      path: logProof.path.map(toBase64),
      checkpoint: logProof.checkpoint,
    },
  };
}

/** The CSR of a request. Throws MESSAGE_MALFORMED. */
export function parseFollowUpRequest(value: unknown): Uint8Array {
  const parsed = requestSchema.safeParse(value);
  if (!parsed.success) throw malformed("follow-up request", parsed.error);
  return parsed.data.csr;
}

/** Throws ANSWER_MALFORMED. */
export function parseFollowUpAnswer(value: unknown): FollowUpAnswer {
  const parsed = answerSchema.safeParse(value);
  if (!parsed.success) throw malformed("follow-up answer", parsed.error);
  return parsed.data;
}

function malformed(what: "follow-up request" | "follow-up answer", cause: unknown): BrokerError {
  return new BrokerError(
    what === "follow-up request" ? "MESSAGE_MALFORMED" : "ANSWER_MALFORMED",
    {
      what: `a ${what} was refused`,
      why: "it does not have the fields of its type",
      remedy: "use the same version on both sides",
    },
    { cause },
  );
}
