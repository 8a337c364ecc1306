import { at, isTable, table, text, uris } from "./view.ts";

type Document = Record<string, unknown>;

/** A key of an older Gramine, and what became of it (gramine.md E.1). */
export interface Deprecation {
  readonly key: string;
  /** Whether the value is of the old form; absent: whenever the key is there. */
  readonly isOld?: (value: unknown) => boolean;
  readonly since: string;
  readonly instead: string;
  /** Puts what the key said where it belongs today. The key itself is gone by then. */
  readonly upgrade?: (document: Document, value: unknown) => void;
}

const DEFAULT_KEY = "default";

const DEPRECATIONS: readonly Deprecation[] = [
  {
    key: "sgx.remote_attestation",
    isOld: (value) => typeof value !== "string" || value === "epid",
    since: "numbers and booleans removed in 1.5, epid in 1.9",
    instead: '"dcap" or "none"',
    upgrade: (document, value) =>
      set(document, "sgx.remote_attestation", value === false || value === 0 ? "none" : "dcap"),
  },
  {
    key: "sgx.trusted_files",
    isOld: isTable,
    since: "removed in 1.2",
    instead: "a list of URIs",
    upgrade: (document, value) => set(document, "sgx.trusted_files", uris(value)),
  },
  {
    key: "sgx.allowed_files",
    isOld: isTable,
    since: "removed in 1.2",
    instead: "a list of URIs",
    upgrade: (document, value) => set(document, "sgx.allowed_files", uris(value)),
  },
  ...(
    [
      ["sgx.protected_files", DEFAULT_KEY],
      ["sgx.protected_mrenclave_files", "_sgx_mrenclave"],
      ["sgx.protected_mrsigner_files", "_sgx_mrsigner"],
    ] as const
  ).map(([key, keyName]) => ({
    key,
    since: "removed in 1.5",
    instead: `fs.mounts with type = "encrypted" and key_name = "${keyName}"`,
    upgrade: (document: Document, value: unknown) => addEncrypted(document, uris(value), keyName),
  })),
  {
    key: "sgx.insecure__protected_files_key",
    since: "removed in 1.5",
    instead: "nothing: a key in a manifest is no secret; let the broker provision it",
  },
  {
    key: "loader.env.SECRET_PROVISION_SET_PF_KEY",
    since: "removed in 1.9",
    instead: 'SECRET_PROVISION_SET_KEY = "default"',
    upgrade: (document) => set(document, "loader.env.SECRET_PROVISION_SET_KEY", DEFAULT_KEY),
  },
  {
    key: "loader.entrypoint",
    isOld: (value) => typeof value === "string",
    since: "string removed in 1.9",
    instead: "loader.entrypoint.uri",
    upgrade: (document, value) => set(document, "loader.entrypoint.uri", value),
  },
  {
    key: "loader.preload",
    since: "gone since 1.2",
    instead: "loader.entrypoint.uri",
    upgrade: (document, value) => setIfAbsent(document, "loader.entrypoint.uri", value),
  },
  {
    key: "sgx.thread_num",
    since: "sgx.max_threads since 1.4, removed in 1.5",
    instead: "sgx.max_threads",
    upgrade: (document, value) => setIfAbsent(document, "sgx.max_threads", value),
  },
  { key: "app", since: "a packer's, never Gramine's", instead: "nothing: Gramine refuses it" },
  { key: "sgx.nonpie_binary", since: "removed in 1.5", instead: "nothing: it is not needed any more" },
  { key: "loader.pal_internal_mem_size", since: "without effect since 1.4, removed in 1.5", instead: "nothing" },
  { key: "loader.argv0_override", since: "gone", instead: "loader.argv" },
  { key: "sgx.ra_client_spid", since: "removed in 1.9 with EPID", instead: 'sgx.remote_attestation = "dcap"' },
  { key: "sgx.ra_client_linkable", since: "removed in 1.9 with EPID", instead: 'sgx.remote_attestation = "dcap"' },
  ...["avx", "avx512", "amx", "mpx", "pkru"].map((feature) => ({
    key: `sgx.require_${feature}`,
    since: "removed in 1.8",
    instead: `sgx.cpu_features.${feature}`,
    upgrade: (document: Document, value: unknown) => {
      if (value === true || value === 1) set(document, `sgx.cpu_features.${feature}`, "required");
    },
  })),
  ...["support_exinfo", "require_exinfo"].map((name) => ({
    key: `sgx.${name}`,
    since: "removed in 1.8",
    instead: "sgx.use_exinfo",
    upgrade: (document: Document, value: unknown) => set(document, "sgx.use_exinfo", value === true || value === 1),
  })),
  {
    key: "fs.mount",
    since: "removed in 1.2",
    instead: "fs.mounts",
    upgrade: (document, value) => {
      const mounts = Object.values(table(value)).map((mount) => {
        const { type, ...rest } = table(mount);
        return type === undefined || type === "chroot" ? rest : mount;
      });
      append(document, "fs.mounts", mounts);
    },
  },
];

/** The deprecations that a manifest shows. */
export function deprecationsIn(document: unknown): Deprecation[] {
  return DEPRECATIONS.filter(({ key, isOld }) => {
    const value = at(document, key);
    return value !== undefined && (isOld?.(value) ?? true);
  });
}

/** A manifest with the keys of today that says the same as far as it can be said. */
export function upgradeManifest(document: Readonly<Record<string, unknown>>): Document {
  const upgraded = structuredClone(document) as Document;
  for (const { key, upgrade } of deprecationsIn(document)) {
    const value = at(upgraded, key);
    remove(upgraded, key);
    upgrade?.(upgraded, value);
  }
  setIfAbsent(upgraded, "fs.mounts", []);
  return upgraded;
}

function addEncrypted(document: Document, files: readonly string[], keyName: string): void {
  const mounts = files.map((uri) => {
    const path = uri.replace(/^file:/, "");
    return { type: "encrypted", path: path.startsWith("/") ? path : `/${path}`, uri, key_name: keyName };
  });
  append(document, "fs.mounts", mounts);
}

function append(document: Document, key: string, values: readonly unknown[]): void {
  const present = at(document, key);
  set(document, key, [...(Array.isArray(present) ? (present as unknown[]) : []), ...values]);
}

function setIfAbsent(document: Document, key: string, value: unknown): void {
  if (at(document, key) === undefined) set(document, key, value);
}

function set(document: Document, key: string, value: unknown): void {
  const [name = "", ...path] = key.split(".").reverse();
  holder(document, path.reverse())[name] = value;
}

function remove(document: Document, key: string): void {
  const [name = "", ...path] = key.split(".").reverse();
  Reflect.deleteProperty(holder(document, path.reverse()), name);
}

function holder(document: Document, path: readonly string[]): Document {
  return path.reduce<Document>((value, part) => {
    if (!isTable(value[part])) value[part] = {};
    return value[part] as Document;
  }, document);
}

/** The entry point's URI, in the form of either age. */
export function entrypointUri(document: unknown): string {
  return text(at(document, "loader.entrypoint")) || text(at(document, "loader.entrypoint.uri"));
}
