import { z } from "zod";
import { EnclaveError } from "../errors.ts";

const MAX_WAIT_SECONDS = 7 * 86_400;
const ADDRESS = { host: z.string().min(1).max(253) } as const;
const LISTEN = z.strictObject({ ...ADDRESS, port: z.int().min(0).max(65_535) });

/**
 * What the untrusted host may tell a replica. None of it can weaken the replica: addresses are only where to connect
 * (whom to trust is measured), the sealed folder is verified file by file, the id is a label.
 */
export const HostOptions = z.strictObject({
  replicaId: z.string().regex(/^[a-z0-9-]{1,63}$/),
  brokerAddresses: z
    .array(z.strictObject({ ...ADDRESS, port: z.int().min(1).max(65_535) }))
    .min(1)
    .max(8),
  sealedDir: z.string().min(1).max(4096),
  /** Collateral for the replica's quotes, which it hands to requesters; they verify it. Absent: they get it elsewhere. */
  collateralFile: z.string().min(1).max(4096).optional(),
  listen: LISTEN,
  /** Where liveness, readiness, status and metrics are told over plain HTTP; absent: nowhere. */
  health: LISTEN.optional(),
  /** After this time a connection takes no new call, so that clients come to replicas which were started later; absent: never. */
  maxConnectionAgeSeconds: z.int().min(1).max(MAX_WAIT_SECONDS).optional(),
  /** For how long a broker that does not answer is asked again; absent: it is asked once. */
  waitForBrokerSeconds: z.int().min(0).max(MAX_WAIT_SECONDS).optional(),
});

export type HostOptions = z.infer<typeof HostOptions>;

/**
 * Accepts the host's options, or throws `HOST_OPTION_REFUSED` naming those outside the allow-list. An unknown option is
 * refused, not ignored: a host that asks for `insecure` or `tls` tries to change what was measured.
 */
export function acceptHostOptions(value: unknown): HostOptions {
  const parsed = HostOptions.safeParse(value);
  if (parsed.success) return parsed.data;
  const unknown = parsed.error.issues.flatMap((issue) => (issue.code === "unrecognized_keys" ? issue.keys : []));
  const named = unknown.length > 0 ? unknown : parsed.error.issues.map((issue) => issue.path.join("."));
  throw new EnclaveError("HOST_OPTION_REFUSED", {
    what: "the replica refused to start",
    why: `the host passed options that it may not set: ${named.join(", ").slice(0, 200)}`,
    remedy: "put them into the measured manifest, so that the owner's policy decides",
  });
}
