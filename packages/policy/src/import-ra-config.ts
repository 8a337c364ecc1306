import { z } from "zod";
import { parsePolicy } from "./parse.ts";
import { type Policy, POLICY_SCHEMA } from "./policy.ts";
import { PolicyError } from "./policy-error.ts";

// `ra_config.json` of the original secret provisioning service: four switches and a list of measurements, of which an
// enclave has to match one in every field that is switched on.

const toggle = z.enum(["on", "off"]);
/** Decimal text or a number. The original took text for zero. */
const u16 = z.union([
  z.int().min(0).max(65_535),
  z
    .string()
    .regex(/^(?:0|[1-9]\d{0,4})$/, "a decimal number")
    .transform(Number)
    .pipe(z.int().max(65_535)),
]);
const digest = z.string().regex(/^[0-9a-fA-F]{64}$/, "exactly 64 hex digits");

const raConfigSchema = z.strictObject({
  verify_mr_enclave: toggle,
  verify_mr_signer: toggle,
  verify_isv_prod_id: toggle,
  verify_isv_svn: toggle,
  mrs: z
    .array(z.strictObject({ mr_enclave: digest, mr_signer: digest, isv_prod_id: u16, isv_svn: u16 }))
    .min(1)
    .max(10_000),
});

/** Something that the imported policy does otherwise than the original, and why. */
export interface ImportNote {
  readonly what: string;
  readonly why: string;
}

export interface ImportedPolicy {
  readonly policy: Policy;
  readonly notes: readonly ImportNote[];
}

const ALWAYS: readonly ImportNote[] = [
  {
    what: "Security versions are minima: an enclave with a higher isv_svn is accepted.",
    why: "The original compared for equality, so that a patched enclave of the same signer was locked out.",
  },
  {
    what: "Debug enclaves are refused.",
    why: "The original's start script allowed them; the host can read a debug enclave's memory.",
  },
  {
    what: "Only platforms that are up to date and have no open advisory are accepted.",
    why: "The original's start script allowed outdated ones. Name statuses and advisories under `tcb` to accept more.",
  },
  {
    what: "Evidence has to be bound to the TLS key.",
    why: "The original accepted a quote that was not, which anybody could relay.",
  },
];

/**
 * Turns the original's file into a policy with one workload for `keyId`, and says what differs. Throws POLICY_MALFORMED for
 * a file of another form (the original took `true` and "ON" for off), and where the switches would let any enclave in.
 */
export function importRaConfig(value: unknown, options: { name: string; keyId: string }): ImportedPolicy {
  const parsed = raConfigSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw refuse(`${issue?.path.join(".") ?? "file"}: ${issue?.message ?? "not of the known form"}`);
  }
  const { mrs, ...switches } = parsed.data;
  const isOn = (name: keyof typeof switches): boolean => switches[name] === "on";
  if (
    !isOn("verify_mr_enclave") &&
    !(isOn("verify_mr_signer") && isOn("verify_isv_prod_id") && isOn("verify_isv_svn"))
  ) {
    throw refuse(
      "its switches name neither the enclave nor its signer with product and version: too many enclaves would match",
    );
  }
  const identities = mrs.map((mr) => ({
    tee: "sgx",
    mrenclave: isOn("verify_mr_enclave") ? mr.mr_enclave : null,
    mrsigner: isOn("verify_mr_signer") ? mr.mr_signer : null,
    isvProdId: isOn("verify_isv_prod_id") ? mr.isv_prod_id : null,
    minimumIsvSvn: isOn("verify_isv_svn") ? mr.isv_svn : null,
  }));
  const policy = parsePolicy({
    schema: POLICY_SCHEMA,
    workloads: [{ name: options.name, identities, platforms: [{ kind: "intel" }], secrets: { keyId: options.keyId } }],
  });
  const off = Object.entries(switches).flatMap(([name, state]) => (state === "off" ? [name] : []));
  const switched: ImportNote[] = off.map((name) => ({
    what: `${name} is off: that field is not looked at.`,
    why: "It is off in the file. The fields that are left still have to match together.",
  }));
  return { policy, notes: [...ALWAYS, ...switched] };
}

function refuse(why: string): PolicyError {
  return new PolicyError("POLICY_MALFORMED", {
    what: "the ra_config.json was not imported",
    why,
    remedy: "correct the file, or write the policy by hand",
  });
}
