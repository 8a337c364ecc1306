import { z } from "zod";
import { isServiceRule } from "./platform.ts";
import { POLICY_SCHEMA } from "./policy.ts";

const MAX_WORKLOADS = 1000;
const MAX_LIST = 10_000;
const MAX_NAME = 128;

/** Unsigned integer of that many bits. No strings: "on", "1" and true are refused, where the original took them for zero. */
const unsigned = (bits: number): z.ZodInt =>
  z
    .int()
    .min(0)
    .max(2 ** bits - 1);

/** Exactly that many bytes in hex of either case; lower case after parsing. */
const hex = (bytes: number): z.ZodType<string, string> =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-fA-F]{${bytes * 2}}$`), `exactly ${bytes * 2} hex digits`)
    .transform((text) => text.toLowerCase());

const name = z
  .string()
  .max(MAX_NAME)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, "letters, digits, dot, dash and underscore, starting with a letter or digit");

const keyId = z
  .string()
  .max(MAX_NAME)
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._/-]*(?:@[1-9]\d{0,5})?$/,
    "letters, digits, dot, dash, underscore and slash; @ and a number for one version",
  );

const dnsName = z
  .string()
  .max(253)
  .regex(
    /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/,
    "a lower-case DNS name",
  );

const sgxIdentity = z
  .strictObject({
    tee: z.literal("sgx"),
    mrenclave: hex(32).nullable().default(null),
    mrsigner: hex(32).nullable().default(null),
    isvProdId: unsigned(16).nullable().default(null),
    minimumIsvSvn: unsigned(16).nullable().default(null),
  })
  .refine(
    (sgx) => sgx.mrenclave !== null || (sgx.mrsigner !== null && sgx.isvProdId !== null && sgx.minimumIsvSvn !== null),
    "either mrenclave, or all of mrsigner, isvProdId and minimumIsvSvn",
  );

/** Clouds that have the service: public, US government, China. */
const AZURE_ATTESTATION = /^https:\/\/(?:[a-z0-9-]{1,63}\.){1,4}attest\.azure\.(?:net|us|cn)$/;

const tdxIdentity = z.strictObject({
  tee: z.literal("tdx"),
  mrtd: hex(48),
  rtmrs: z.array(hex(48).nullable()).max(4).default([]),
});

const platform = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("intel") }),
  z.strictObject({ kind: z.literal("simulated"), anchorSha256: hex(32) }),
  z.strictObject({
    kind: z.literal("maa"),
    url: z
      .string()
      .regex(AZURE_ATTESTATION, "https:// and a host below attest.azure.net, .us or .cn, nothing after it"),
  }),
  z.strictObject({
    kind: z.literal("simulated-maa"),
    url: z
      .string()
      .max(300)
      .regex(/^https:\/\/[a-z0-9.-]+(?::[1-9]\d{0,4})?$/, "https:// and a host, nothing after it"),
  }),
]);

const tcb = z.strictObject({
  statuses: z
    .array(
      z.enum([
        "UpToDate",
        "SWHardeningNeeded",
        "ConfigurationNeeded",
        "ConfigurationAndSWHardeningNeeded",
        "OutOfDate",
        "OutOfDateConfigurationNeeded",
        "RelaunchAdvised",
        "RelaunchAdvisedConfigurationNeeded",
      ]),
    )
    .min(1)
    .default(["UpToDate"]),
  acceptedAdvisories: z
    .array(z.string().regex(/^INTEL-SA-\d{5}$/, "INTEL-SA- and five digits"))
    .max(MAX_LIST)
    .nullable()
    .default([]),
  minimumEvaluationDataNumber: unsigned(32).default(0),
  maximumCollateralAgeDays: z.int().min(1).max(3650).nullable().default(null),
});

const certificate = z.strictObject({
  maximumAgeSeconds: z.int().min(1).max(315_360_000).nullable().default(null),
  allowRenewal: z.boolean().default(false),
  allowLegacyRsa: z.boolean().default(false),
});

const model = z.strictObject({
  name,
  version: z.int().min(1).max(Number.MAX_SAFE_INTEGER),
  minimumGeneration: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
});

const serving = z
  .strictObject({
    dnsNames: z.array(dnsName).max(100).default([]),
    ipAddresses: z
      .array(z.union([z.ipv4(), z.ipv6()]))
      .max(100)
      .default([]),
    validitySeconds: z.int().min(60).max(31_536_000).default(86_400),
    clientVerify: z.boolean().default(true),
  })
  .refine((rule) => rule.dnsNames.length + rule.ipAddresses.length > 0, "at least one DNS name or IP address");

/** A log entry names every key that it released, in one field of 512 characters. */
const MAX_KEY_ID_CHARACTERS = 400;

const secrets = z
  .strictObject({
    keyId,
    encoding: z.enum(["raw16", "hexNul", "text"]).default("raw16"),
    model: model.nullable().default(null),
    serving: serving.nullable().default(null),
    additional: z.array(z.strictObject({ name, keyId })).max(16).default([]),
    leaseSeconds: z.int().min(60).max(604_800).nullable().default(null),
  })
  .refine(
    ({ additional }) => new Set(["key", ...additional.map((key) => key.name)]).size === additional.length + 1,
    "additional keys need different names, and none is called key",
  )
  .refine(
    (rule) => [rule, ...rule.additional].reduce((sum, key) => sum + key.keyId.length, 0) <= MAX_KEY_ID_CHARACTERS,
    `key ids of one workload have at most ${MAX_KEY_ID_CHARACTERS} characters together`,
  )
  .refine((rule) => (rule.model === null) === (rule.serving === null), "model and serving belong together")
  .refine((rule) => rule.model === null || rule.encoding === "raw16", "a model is opened with a raw16 key");

const instant = z.iso.datetime();

const UNJUDGED_TCB = JSON.stringify(tcb.parse({}));

const workload = z
  .strictObject({
    name,
    identities: z
      .array(z.discriminatedUnion("tee", [sgxIdentity, tdxIdentity]))
      .min(1)
      .max(MAX_LIST),
    platforms: z.array(platform).min(1).max(100),
    tcb: tcb.prefault({}),
    debug: z.boolean().default(false),
    fmspcs: z.array(hex(6)).min(1).max(MAX_LIST).nullable().default(null),
    ppids: z.array(hex(16)).min(1).max(MAX_LIST).nullable().default(null),
    validity: z
      .strictObject({ notBefore: instant.nullable().default(null), notAfter: instant.nullable().default(null) })
      .prefault({}),
    certificate: certificate.prefault({}),
    secrets,
  })
  .superRefine(({ platforms, identities, tcb: rule }, context) => {
    if (!platforms.some(isServiceRule)) return;
    const refuse = (path: string, message: string): void => context.addIssue({ code: "custom", path: [path], message });
    // Rules of a workload hold for every enclave that it takes; of these, some would not be looked at for some.
    if (!platforms.every(isServiceRule))
      refuse("platforms", "attestation services and other platforms go in two workloads");
    if (JSON.stringify(rule) !== UNJUDGED_TCB)
      refuse("tcb", "an attestation service judges the TCB itself; leave it out");
    if (identities.some(({ tee }) => tee !== "sgx")) refuse("identities", "an attestation service takes SGX only");
  });

/** Strict form of a policy: unknown keys are refused everywhere, and what is left out takes the refusing default. */
export const policySchema = z.strictObject({
  schema: z.literal(POLICY_SCHEMA),
  production: z.boolean().default(true),
  workloads: z.array(workload).max(MAX_WORKLOADS).default([]),
});
