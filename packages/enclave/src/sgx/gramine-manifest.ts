import { fromUtf8 } from "@cloister/encoding";
import { parse } from "smol-toml";
import { z } from "zod";
import { EnclaveError } from "../errors.ts";
import type { EnclaveDimensions } from "./layout.ts";
import { type CpuFeature, FEATURE_BITS } from "./sigstruct.ts";

const MAX_MANIFEST_BYTES = 64 * 1024 * 1024;
const UNITS: Readonly<Record<string, number>> = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };
/** Values of Gramine where the manifest is silent (`python/graminelibos/manifest.py`). */
const DEFAULT_SIZE = "256M";
const DEFAULT_SIZE_WITH_EDMM = "1024G";
const DEFAULT_THREADS = 4;

const FeatureState = z.enum(["unspecified", "disabled", "required"]);
/** Features of which each enclave says whether it wants them. */
const DECIDED_FEATURES: readonly string[] = ["mpx", "pkru"] satisfies CpuFeature[];
const U16 = z.int().min(0).max(0xffff);

// Only what the measurement and SIGSTRUCT depend on is looked at; the rest is Gramine's and covered by the manifest's bytes.
const Sgx = z.object({
  enclave_size: z.string().optional(),
  max_threads: z.int().default(DEFAULT_THREADS),
  edmm_enable: z.boolean().default(false),
  debug: z.boolean().default(false),
  use_exinfo: z.boolean().default(false),
  isvprodid: U16.default(0),
  isvsvn: U16.default(0),
  cpu_features: z
    .partialRecord(z.enum(Object.keys(FEATURE_BITS) as [CpuFeature, ...CpuFeature[]]), FeatureState)
    .default({})
    .refine((features) => DECIDED_FEATURES.every((name) => features[name as CpuFeature] !== "unspecified")),
});

/** What an enclave's manifest says about its shape and identity. */
export interface GramineManifest {
  readonly dimensions: EnclaveDimensions;
  readonly isvProdId: number;
  readonly isvSvn: number;
  readonly debug: boolean;
  readonly exinfo: boolean;
  readonly cpuFeatures: Readonly<Partial<Record<CpuFeature, "required" | "disabled">>>;
}

/** Reads a Gramine manifest (`.manifest.sgx`, TOML). Throws `MANIFEST_INVALID`. */
export function readGramineManifest(bytes: Uint8Array): GramineManifest {
  const parsed = z.object({ sgx: Sgx.prefault({}) }).safeParse(parseToml(bytes));
  if (!parsed.success) throw invalid(parsed.error.issues.map(({ path }) => path.join(".")).join(", "));
  const { sgx } = parsed.data;
  const decided = Object.entries(sgx.cpu_features).filter(([, state]) => state !== "unspecified");
  const size = sgx.enclave_size ?? (sgx.edmm_enable ? DEFAULT_SIZE_WITH_EDMM : DEFAULT_SIZE);
  return {
    dimensions: { enclaveSize: parseSize(size), maxThreads: sgx.max_threads, edmm: sgx.edmm_enable },
    isvProdId: sgx.isvprodid,
    isvSvn: sgx.isvsvn,
    debug: sgx.debug,
    exinfo: sgx.use_exinfo,
    cpuFeatures: Object.fromEntries(decided),
  };
}

function parseToml(bytes: Uint8Array): unknown {
  const text = bytes.length <= MAX_MANIFEST_BYTES ? fromUtf8(bytes) : undefined;
  if (text === undefined) throw invalid("the text itself");
  try {
    return parse(text);
  } catch (cause) {
    throw invalid("the TOML itself", cause);
  }
}

/** "256M" and the like, in bytes. */
function parseSize(text: string): number {
  const match = /^(\d{1,12})([KMG]?)$/.exec(text);
  if (match === null) throw invalid("sgx.enclave_size");
  return Number(match[1]) * (UNITS[match[2] ?? ""] ?? 1);
}

function invalid(where: string, cause?: unknown): EnclaveError {
  return new EnclaveError(
    "MANIFEST_INVALID",
    {
      what: "the Gramine manifest was refused",
      why: `it cannot be read at: ${where.slice(0, 200)}`,
      remedy: "give the .manifest.sgx that gramine-sgx-sign wrote",
    },
    { cause },
  );
}
