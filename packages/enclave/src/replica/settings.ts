import { canonicalJson, parseStrictJson } from "@cloister/encoding/canonical-json";
import { fromUtf8, utf8 } from "@cloister/encoding";
import { z } from "zod";
import { EnclaveError } from "../errors.ts";
import { HostOptions } from "../manifest/host-options.ts";
import { ReplicaConfig } from "../manifest/manifest.ts";

const Settings = z.strictObject({
  format: z.literal("cloister-replica/1"),
  platform: z.enum(["gramine", "tdx"]),
  config: ReplicaConfig,
  hostOptions: HostOptions,
});

/**
 * Everything a replica inside a hardware TEE goes by. The file is measured (a trusted file under Gramine), so here the host
 * does not even choose the addresses.
 */
type ReplicaSettings = z.infer<typeof Settings>;

/** Canonical bytes of the settings. */
export function encodeReplicaSettings(settings: ReplicaSettings): Uint8Array {
  return utf8(canonicalJson(settings));
}

/** Reads the settings. Throws `MANIFEST_INVALID` for anything but the schema. */
export function decodeReplicaSettings(bytes: Uint8Array): ReplicaSettings {
  let value: unknown;
  try {
    value = parseStrictJson(fromUtf8(bytes) ?? "");
  } catch (cause) {
    throw invalid("the JSON itself", cause);
  }
  const parsed = Settings.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(parsed.error.issues.map(({ path }) => path.join(".")).join(", "));
}

function invalid(where: string, cause?: unknown): EnclaveError {
  return new EnclaveError(
    "MANIFEST_INVALID",
    {
      what: "the replica's settings were refused",
      why: `they do not follow the schema at: ${where.slice(0, 200)}`,
      remedy: "write them with cloister enclave manifest of the same version",
    },
    { cause },
  );
}
