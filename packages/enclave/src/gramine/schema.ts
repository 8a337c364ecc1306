import { z } from "zod";

// The manifest of Gramine 1.8 and 1.9, key by key, as its python/graminelibos/manifest_check.py has it, with what manifest.py refuses
// when it expands the trusted files. docs/reference/manifest-rules.md says where this is stricter. Unknown keys are refused, as there.

const URI = z.string().min(1);
/** Of a file that is hashed. A template may have all of it from an expression. */
const FILE_URI = z.string().regex(/^(?:file:|\{\{)./, 'a URI that begins with "file:"');
const SIZE = z.string().regex(/^\d+[KMG]?$/, "a number with K, M or G behind it");
const SHA256 = z.string().regex(/^[0-9a-fA-F]{64}$/, "64 hex digits");
const U16 = z.int().min(0).max(0xffff);
const FEATURE = z.enum(["unspecified", "disabled", "required"]);
const DECIDED = z.enum(["disabled", "required"]);

const encrypted = z.strictObject({
  type: z.literal("encrypted"),
  uri: URI,
  key_name: z.string().optional(),
  enable_recovery: z.boolean().optional(),
});
const tmpfs = z.strictObject({ type: z.literal("tmpfs"), uri: z.string().optional() });
const untrustedShm = z.strictObject({ type: z.literal("untrusted_shm"), uri: URI });
const chroot = z.strictObject({ type: z.literal("chroot").optional(), uri: URI });

const path = { path: z.string().min(1) };
const mount = z.union([encrypted.extend(path), tmpfs.extend(path), untrustedShm.extend(path), chroot.extend(path)]);

const environment = z.record(
  z.string(),
  z.union([z.string(), z.strictObject({ value: z.string() }), z.strictObject({ passthrough: z.literal(true) })]),
);

const loader = z.strictObject({
  entrypoint: z.strictObject({ uri: FILE_URI, sha256: SHA256.optional() }),
  argv: z.array(z.string()).optional(),
  argv_src_file: URI.optional(),
  env: environment.optional(),
  env_src_file: URI.optional(),
  uid: z.int().optional(),
  gid: z.int().optional(),
  log_file: z.string().optional(),
  log_level: z.enum(["none", "error", "warning", "debug", "trace", "all"]).optional(),
  insecure__use_cmdline_argv: z.boolean().optional(),
  insecure__use_host_env: z.boolean().optional(),
  insecure__disable_aslr: z.boolean().optional(),
});

const trustedFile = z
  .strictObject({ uri: FILE_URI, sha256: SHA256.optional() })
  .refine(({ uri, sha256 }) => !(uri.endsWith("/") && sha256 !== undefined), "a folder has no digest");

const trustedFiles = z
  .array(z.union([FILE_URI, trustedFile]))
  .refine(hasOneDigestEach, "one file has two different digests");

/** Gramine takes a file that is named twice, with one digest. */
function hasOneDigestEach(files: readonly (string | z.infer<typeof trustedFile>)[]): boolean {
  const digests = new Map<string, string>();
  for (const file of files) {
    if (typeof file === "string" || file.sha256 === undefined) continue;
    const digest = file.sha256.toLowerCase();
    if ((digests.get(file.uri) ?? digest) !== digest) return false;
    digests.set(file.uri, digest);
  }
  return true;
}

const sgx = z.strictObject({
  enclave_size: SIZE.optional(),
  max_threads: z.int().min(1).optional(),
  edmm_enable: z.boolean().optional(),
  debug: z.boolean().optional(),
  remote_attestation: z.enum(["none", "dcap"]).optional(),
  isvprodid: U16.optional(),
  isvsvn: U16.optional(),
  trusted_files: trustedFiles.optional(),
  trusted_files_cache_size: SIZE.optional(),
  allowed_files: z.array(URI).optional(),
  file_check_policy: z.enum(["strict", "allow_all_but_log"]).optional(),
  cpu_features: z
    .strictObject({
      avx: FEATURE.optional(),
      avx512: FEATURE.optional(),
      amx: FEATURE.optional(),
      mpx: DECIDED.optional(),
      pkru: DECIDED.optional(),
    })
    .optional(),
  use_exinfo: z.boolean().optional(),
  preheat_enclave: z.boolean().optional(),
  enable_stats: z.boolean().optional(),
  vtune_profile: z.boolean().optional(),
  insecure__allow_memfaults_without_exinfo: z.boolean().optional(),
  insecure__rpc_thread_num: z.int().optional(),
  seal_key: z
    .strictObject({
      flags_mask: z.string().optional(),
      xfrm_mask: z.string().optional(),
      misc_mask: z.string().optional(),
    })
    .optional(),
  profile: z
    .strictObject({
      enable: z.enum(["none", "main", "all"]).optional(),
      mode: z.enum(["aex", "ocall_inner", "ocall_outer"]).optional(),
      with_stack: z.boolean().optional(),
      frequency: z.int().optional(),
    })
    .optional(),
});

const sys = z.strictObject({
  stack: z.strictObject({ size: SIZE.optional() }).optional(),
  brk: z.strictObject({ max_size: SIZE.optional() }).optional(),
  fds: z.strictObject({ limit: z.int().optional() }).optional(),
  enable_sigterm_injection: z.boolean().optional(),
  enable_extra_runtime_domain_names_conf: z.boolean().optional(),
  disallow_subprocesses: z.boolean().optional(),
  insecure__allow_eventfd: z.boolean().optional(),
  experimental__enable_flock: z.boolean().optional(),
  allowed_ioctls: z.array(z.strictObject({ request_code: z.int(), struct: z.string().optional() })).optional(),
  ioctl_structs: z.record(z.string(), z.unknown()).optional(),
  debug__mock_syscalls: z.array(z.strictObject({ name: z.string(), return: z.int().optional() })).optional(),
});

export const GramineSchema = z.strictObject({
  libos: z.strictObject({ entrypoint: z.string().min(1), check_invalid_pointers: z.boolean().optional() }),
  loader,
  fs: z.strictObject({
    mounts: z.array(mount),
    root: z.union([encrypted, tmpfs, untrustedShm, chroot]).optional(),
    start_dir: z.string().optional(),
    insecure__keys: z.record(z.string(), z.string()).optional(),
  }),
  sgx: sgx.optional(),
  sys: sys.optional(),
});

/** A manifest as TOML has it. */
export type GramineDocument = z.infer<typeof GramineSchema>;
