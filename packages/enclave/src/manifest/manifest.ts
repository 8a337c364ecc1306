import { canonicalJson, parseStrictJson } from "@cloister/encoding/canonical-json";
import { fromUtf8, utf8 } from "@cloister/encoding";
import { z } from "zod";
import { EnclaveError } from "../errors.ts";

const SHA256_HEX = z.string().regex(/^[0-9a-f]{64}$/);

/** What the replica does, fixed by the owner and part of the measurement: the host cannot change the model or the broker. */
export const ReplicaConfig = z.strictObject({
  model: z.strictObject({ name: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/), version: z.int().positive() }),
  /**
   * Whom the replica hands its evidence to and takes its keys from. The broker's address may come from the host; its CA and
   * the key that signs its release log may not. Whether clients need a certificate comes with the keys, from the policy.
   */
  broker: z.strictObject({
    serverName: z.string().min(1).max(253),
    caPem: z.string().max(16_384),
    logKey: z.base64().max(1024),
  }),
  engineThreads: z.int().min(1).max(256),
  /** Secrets of the policy that become keys of encrypted mounts (Gramine). Every other further secret is dropped. */
  mountKeys: z
    .array(z.string().regex(/^[A-Za-z0-9_-]{1,64}$/))
    .max(16)
    .optional(),
});

const Manifest = z.strictObject({
  format: z.literal("cloister-enclave/1"),
  /** Path of the program's first file, one of `trustedFiles`. */
  entrypoint: z.string().min(1).max(512),
  /** Every file that the program may load, by path below the installation root, with its SHA-256. */
  trustedFiles: z.record(z.string().min(1).max(512), SHA256_HEX),
  config: ReplicaConfig,
  isvProdId: z.int().min(0).max(0xffff),
  isvSvn: z.int().min(0).max(0xffff),
});

export type ReplicaConfig = z.infer<typeof ReplicaConfig>;

/** Everything that decides what a replica is. Its canonical JSON is what the simulated platform measures. */
export type EnclaveManifest = z.infer<typeof Manifest>;

/** Canonical bytes of a manifest. */
export function encodeManifest(manifest: EnclaveManifest): Uint8Array {
  return utf8(canonicalJson(manifest));
}

/**
 * Reads a manifest. Throws `MANIFEST_INVALID` for anything but the schema, and where the entry point is not a trusted file.
 */
export function decodeManifest(bytes: Uint8Array): EnclaveManifest {
  const parsed = Manifest.safeParse(parseJson(bytes));
  if (!parsed.success) throw invalid(parsed.error.issues.map((issue) => issue.path.join(".")).join(", "));
  if (!Object.hasOwn(parsed.data.trustedFiles, parsed.data.entrypoint)) throw invalid("entrypoint");
  return parsed.data;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return parseStrictJson(fromUtf8(bytes) ?? "");
  } catch (cause) {
    throw invalid("the JSON itself", cause);
  }
}

function invalid(where: string, cause?: unknown): EnclaveError {
  return new EnclaveError(
    "MANIFEST_INVALID",
    {
      what: "the enclave manifest was refused",
      why: `it does not follow the schema at: ${where.slice(0, 200)}`,
      remedy: "make it with the tool of the same version",
    },
    { cause },
  );
}
