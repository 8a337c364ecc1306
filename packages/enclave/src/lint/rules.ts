import { GramineSchema } from "../gramine/schema.ts";
import { deprecationsIn, entrypointUri } from "./deprecated.ts";
import type { LintSeverity, Spot } from "./finding.ts";
import { covers, normalPath, overlap, pathOf } from "./path.ts";
import { at, isTable, type ManifestView, table, text } from "./view.ts";

/** A rule by name. Names are stable: scripts and exceptions rely on them. */
export interface LintRule {
  readonly name: string;
  readonly severity: LintSeverity;
  readonly remedy: string;
  readonly find: (view: ManifestView) => Spot[];
}

const MIN_THREADS = 4;
const PROVISIONING_LIBRARY = "libsecret_prov_attest.so";
/** Files that hold keys, or text-format TLS keys (`ssl.cfg`), by their names. */
const SECRET_FILE = /(?:^|\/)(?:ssl\.cfg|wrap[_-]?key|[^/]*\.key|[^/]*key\.pem|[^/]*\.p12)$/;
const NAME_FILES = /^\/etc\/(?:hosts|host\.conf|resolv\.conf|nsswitch\.conf|gai\.conf)$/;
const SYSTEM_FOLDERS = new Set("/etc /tmp /usr /lib /lib64 /bin /sbin /opt /var /home /root".split(" "));
const TENSORFLOW_SERVER = /tensorflow_model_server$/;

const when = (condition: boolean, spot: Spot): Spot[] => (condition ? [spot] : []);
const isOn = (view: ManifestView, key: string): boolean => at(view.document, key) === true;

/** Every rule, in the order of the reference (gramine.md E.2; W numbers: specs of the original's weak points). */
export const LINT_RULES: readonly LintRule[] = [
  {
    name: "deprecated-key",
    severity: "error",
    remedy: "let --upgrade write the keys of today, and look at what it dropped",
    find: ({ document }) =>
      deprecationsIn(document).map(({ key, since, instead }) => ({ at: key, why: `${since}; today: ${instead}` })),
  },
  {
    name: "schema",
    severity: "error",
    remedy: "correct or remove the key; Gramine 1.8 and 1.9 refuse the manifest",
    find: schemaSpots,
  },
  {
    name: "debug-enclave",
    severity: "error",
    remedy: "set sgx.debug = false",
    find: (view) =>
      when(isOn(view, "sgx.debug"), {
        at: "sgx.debug",
        why: "the host can read and write the memory of a debug enclave",
      }),
  },
  {
    name: "host-arguments",
    severity: "error",
    remedy: "fix them: loader.argv",
    find: (view) =>
      when(isOn(view, "loader.insecure__use_cmdline_argv"), {
        at: "loader.insecure__use_cmdline_argv",
        why: "the host chooses the arguments of an attested enclave: it can leave TLS out or name another model",
      }),
  },
  {
    name: "arguments-not-fixed",
    severity: "warning",
    remedy: "fix them: loader.argv",
    find: (view) =>
      when(
        view.argv === null &&
          at(view.document, "loader.argv_src_file") === undefined &&
          !isOn(view, "loader.insecure__use_cmdline_argv"),
        {
          at: "loader.argv",
          why: "the program starts without arguments, unless a packer adds some that are not seen here",
        },
      ),
  },
  {
    name: "host-environment",
    severity: "error",
    remedy: 'fix each variable: loader.env.NAME = "value"',
    find: (view) => [
      ...when(isOn(view, "loader.insecure__use_host_env"), {
        at: "loader.insecure__use_host_env",
        why: "the host sets every variable, LD_PRELOAD and SECRET_PROVISION_SERVERS among them",
      }),
      ...Object.entries(view.environment)
        .filter(([, value]) => value === null)
        .map(([name]) => ({ at: `loader.env.${name}`, why: "the host chooses its value" })),
    ],
  },
  {
    name: "host-eventfd",
    severity: "note",
    remedy: "none for Node.js, which does not start without; turn it off for other programs",
    find: (view) =>
      when(isOn(view, "sys.insecure__allow_eventfd"), {
        at: "sys.insecure__allow_eventfd",
        why: "the host can drop and invent wake-ups: it can stall the server, which it can anyway, and learns nothing",
      }),
  },
  {
    name: "insecure-option",
    severity: "error",
    remedy: "remove it",
    find: insecureSpots,
  },
  {
    name: "file-check-policy",
    severity: "error",
    remedy: 'set sgx.file_check_policy = "strict"',
    find: (view) =>
      when(at(view.document, "sgx.file_check_policy") === "allow_all_but_log", {
        at: "sgx.file_check_policy",
        why: "the host may replace any file",
      }),
  },
  {
    name: "allowed-everything",
    severity: "error",
    remedy: "list the files that are needed, as trusted ones",
    find: ({ allowed }) =>
      allowed
        .filter((uri) => ["/", ""].includes(normalPath(pathOf(uri))))
        .map((uri) => ({ at: `sgx.allowed_files ${uri}`, why: "the host may replace every file that is not trusted" })),
  },
  {
    name: "allowed-secret",
    severity: "error",
    remedy: "encrypt it (fs.mounts, type encrypted), or have the key made inside the enclave",
    find: ({ allowed }) =>
      allowed
        .filter((uri) => SECRET_FILE.test(pathOf(uri)))
        .map((uri) => ({
          at: `sgx.allowed_files ${uri}`,
          why: "the host can read it, and put its own key in its place",
        })),
  },
  {
    name: "allowed-name-service",
    severity: "warning",
    remedy: "remove it and set sys.enable_extra_runtime_domain_names_conf = true",
    find: ({ allowed }) =>
      allowed
        .filter((uri) => NAME_FILES.test(pathOf(uri)))
        .map((uri) => ({
          at: `sgx.allowed_files ${uri}`,
          why: "it comes from the host unchecked; Gramine can check it",
        })),
  },
  {
    name: "allowed-system-folder",
    severity: "error",
    remedy: "list single files as trusted ones; use a tmpfs mount for /tmp",
    find: ({ allowed }) =>
      allowed
        .filter((uri) => SYSTEM_FOLDERS.has(normalPath(pathOf(uri))))
        .map((uri) => ({ at: `sgx.allowed_files ${uri}`, why: "the host may replace whatever lies in it" })),
  },
  {
    name: "allowed-and-trusted",
    severity: "warning",
    remedy: "keep one of the two",
    find: ({ allowed, trusted }) =>
      allowed
        .filter((uri) => trusted.includes(uri))
        .map((uri) => ({ at: uri, why: "it is both trusted and allowed, and counts as one of them only" })),
  },
  {
    name: "broad-trust",
    severity: "warning",
    remedy: "list the files that are loaded (cloister enclave manifest finds them)",
    find: ({ trusted }) =>
      trusted
        .filter((uri) => uri.endsWith("/") || /arch_libdir|get_sys_path/.test(uri))
        .map((uri) => ({
          at: `sgx.trusted_files ${uri}`,
          why: "a whole folder is measured: it holds code that nobody needs, and each update changes the measurement",
        })),
  },
  {
    name: "log-level",
    severity: "warning",
    remedy: 'set loader.log_level = "error"',
    find: (view) => {
      const level = text(at(view.document, "loader.log_level"));
      return when(["warning", "debug", "trace", "all"].includes(level), {
        at: "loader.log_level",
        why: `"${level}" tells the host what the program does`,
      });
    },
  },
  {
    name: "no-attestation",
    severity: "error",
    remedy: 'set sgx.remote_attestation = "dcap"',
    find: (view) => {
      const value = at(view.document, "sgx.remote_attestation");
      return when(value === undefined || value === "none" || value === false || value === 0, {
        at: "sgx.remote_attestation",
        why: "the enclave cannot prove what it runs, so no broker gives it a key",
      });
    },
  },
  {
    name: "encrypted-path",
    severity: "error",
    remedy: "write it without ., .. and double slashes: files are bound to the normal form",
    find: ({ mounts }) =>
      mounts
        .filter(({ type, uri }) => type === "encrypted" && pathOf(uri).replace(/\/$/, "") !== normalPath(pathOf(uri)))
        .map(({ uri }) => ({ at: `fs.mounts ${uri}`, why: "its path is not in normal form" })),
  },
  {
    name: "encrypted-also-listed",
    severity: "error",
    remedy: "remove it from sgx.trusted_files and sgx.allowed_files",
    find: ({ mounts, trusted, allowed }) =>
      mounts
        .filter(({ type }) => type === "encrypted")
        .filter(({ uri }) => [...trusted, ...allowed].some((file) => overlap(pathOf(uri), pathOf(file))))
        .map(({ uri }) => ({ at: `fs.mounts ${uri}`, why: "an encrypted file is also trusted or allowed" })),
  },
  {
    name: "encrypted-overlap",
    severity: "error",
    remedy: "let no encrypted mount lie within another",
    find: ({ mounts }) => {
      const encrypted = mounts.filter(({ type }) => type === "encrypted");
      return encrypted.flatMap((outer, index) =>
        encrypted
          .filter((inner, other) => other !== index && covers(pathOf(outer.uri), pathOf(inner.uri)))
          .map((inner) => ({ at: `fs.mounts ${inner.uri}`, why: `it lies within ${outer.uri}` })),
      );
    },
  },
  {
    name: "model-partly-encrypted",
    severity: "warning",
    remedy: "mount the model's folder as encrypted",
    find: ({ mounts }) =>
      mounts
        .filter(({ type, uri }) => type === "encrypted" && /saved_model\.pb(?:txt)?$/.test(uri))
        .map(({ uri }) => ({
          at: `fs.mounts ${uri}`,
          why: "only this file is protected: variables, assets and the list of versions are the host's",
        })),
  },
  {
    name: "key-without-mount",
    severity: "error",
    remedy: "let SECRET_PROVISION_SET_KEY and key_name of a mount be the same",
    find: ({ environment, mounts }) => {
      const name = environment["SECRET_PROVISION_SET_KEY"];
      const isUsed = mounts.some(({ type, keyName }) => type === "encrypted" && (keyName ?? "default") === name);
      return when(typeof name === "string" && !isUsed, {
        at: "loader.env.SECRET_PROVISION_SET_KEY",
        why: "no encrypted mount uses that key, so the library ends the program",
      });
    },
  },
  {
    name: "authority-not-trusted",
    severity: "error",
    remedy: "list the file in sgx.trusted_files",
    find: authoritySpots,
  },
  {
    name: "plaintext-rest",
    severity: "error",
    remedy: "set --rest_api_port=0: that server has no TLS on its REST port",
    find: ({ argv, entrypoint }) =>
      (TENSORFLOW_SERVER.test(entrypoint) ? (argv ?? []) : [])
        .filter((word) => /^--rest_api_port=(?!0$)/.test(word))
        .map((word) => ({ at: `loader.argv ${word}`, why: "requests over REST bypass TLS and client certificates" })),
  },
  {
    name: "plaintext-grpc",
    severity: "error",
    remedy: "add --ssl_config_file to loader.argv",
    find: ({ argv, entrypoint }) =>
      when(
        TENSORFLOW_SERVER.test(entrypoint) &&
          argv !== null &&
          !argv.some((word) => word.startsWith("--ssl_config_file=/")),
        { at: "loader.argv", why: "without --ssl_config_file the server takes plaintext, and says nothing about it" },
      ),
  },
  {
    name: "few-threads",
    severity: "warning",
    remedy: `set sgx.max_threads to ${MIN_THREADS} or more`,
    find: (view) => {
      const threads = at(view.document, "sgx.max_threads");
      return when(typeof threads === "number" && threads < MIN_THREADS, {
        at: "sgx.max_threads",
        why: "Gramine's own helper threads need some of them",
      });
    },
  },
  {
    name: "enclave-size",
    severity: "error",
    remedy: "take a power of two: 2G, 4G, 8G",
    find: (view) => {
      const size = /^(\d+)[KMG]?$/.exec(text(at(view.document, "sgx.enclave_size")))?.[1];
      return when(size !== undefined && !Number.isInteger(Math.log2(Number(size))), {
        at: "sgx.enclave_size",
        why: "an enclave's size is a power of two",
      });
    },
  },
  {
    name: "no-version",
    severity: "note",
    remedy: "set sgx.isvprodid and sgx.isvsvn, and raise the latter with each fix",
    find: (view) =>
      when(at(view.document, "sgx.isvsvn") === undefined, {
        at: "sgx.isvsvn",
        why: "a policy by signer cannot tell a fixed build from the one before",
      }),
  },
];

/** Keys that another rule tells about are left to that rule. */
function schemaSpots({ document }: ManifestView): Spot[] {
  const parsed = GramineSchema.safeParse(document);
  if (parsed.success) return [];
  const old = deprecationsIn(document).map(({ key }) => key);
  const spots = parsed.error.issues.flatMap(({ code, path, message, ...issue }) => {
    const base = path.join(".");
    if (code !== "unrecognized_keys" || !("keys" in issue)) return [{ at: base || "the manifest", why: message }];
    const names = issue.keys as readonly string[];
    return names.map((name) => ({ at: base === "" ? name : `${base}.${name}`, why: "there is no such key" }));
  });
  const hasEntrypoint = entrypointUri(document) !== "";
  return spots
    .filter(
      ({ at: key }) => !old.some((name) => key === name || name.startsWith(`${key}.`) || key.startsWith(`${name}.`)),
    )
    .filter(({ at: key }) => !(hasEntrypoint && key === "loader.entrypoint"))
    .filter(({ at: key }) => !(key.startsWith("fs") && old.some((name) => name === "fs.mount")));
}

const TOLD_ELSEWHERE = new Set(["insecure__use_cmdline_argv", "insecure__use_host_env", "insecure__allow_eventfd"]);

function insecureSpots({ document }: ManifestView): Spot[] {
  const spots: Spot[] = [];
  for (const [section, content] of Object.entries(document)) {
    for (const [key, value] of Object.entries(table(content))) {
      const isInsecure = key.startsWith("insecure__") || key.startsWith("debug__");
      const isOff = value === false || value === 0 || (isTable(value) && Object.keys(value).length === 0);
      if (!isInsecure || isOff || TOLD_ELSEWHERE.has(key)) continue;
      spots.push({ at: `${section}.${key}`, why: "Gramine itself calls it insecure: it is for debugging" });
    }
  }
  return spots;
}

/** The provisioning library trusts whatever is in that file. */
function authoritySpots({ environment, mounts, trusted }: ManifestView): Spot[] {
  const isProvisioned = Object.values(environment).some((value) => value?.includes(PROVISIONING_LIBRARY) === true);
  const path = environment["SECRET_PROVISION_CA_CHAIN_PATH"];
  const key = "loader.env.SECRET_PROVISION_CA_CHAIN_PATH";
  if (typeof path !== "string") {
    return when(isProvisioned, { at: key, why: "the library does not know which broker to trust" });
  }
  const mount = mounts.find((candidate) => candidate.type === "chroot" && covers(candidate.path, path));
  const rest = mount === undefined ? path : pathOf(mount.uri) + path.slice(mount.path.length);
  const isTrusted = trusted.some((uri) => [path, rest].some((file) => normalPath(pathOf(uri)) === normalPath(file)));
  return when(!isTrusted, { at: key, why: "the host can replace the broker's authority, and so the broker" });
}
