import { normalPath, pathOf } from "./path.ts";
import { type LintRule, when } from "./rule.ts";
import { at } from "./view.ts";

/** Files that hold keys, or text-format TLS keys (`ssl.cfg`), by their names. */
const SECRET_FILE = /(?:^|\/)(?:ssl\.cfg|wrap[_-]?key|[^/]*\.key|[^/]*key\.pem|[^/]*\.p12)$/;
const NAME_FILES = /^\/etc\/(?:hosts|host\.conf|resolv\.conf|nsswitch\.conf|gai\.conf)$/;
const SYSTEM_FOLDERS = new Set("/etc /tmp /usr /lib /lib64 /bin /sbin /opt /var /home /root".split(" "));

/** Files that come from the host: allowed ones unchecked, trusted ones by their measured digest. */
export const FILE_RULES: readonly LintRule[] = [
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
];
