/** What the rules look at: a manifest of any age, read leniently, so that one bad key hides no other. */
export interface ManifestView {
  readonly document: Readonly<Record<string, unknown>>;
  readonly mounts: readonly MountView[];
  readonly trusted: readonly string[];
  readonly allowed: readonly string[];
  readonly environment: Readonly<Record<string, string | null>>;
  /** Null: not fixed by the manifest. */
  readonly argv: readonly string[] | null;
  readonly entrypoint: string;
}

interface MountView {
  readonly type: string;
  readonly path: string;
  readonly uri: string;
  readonly keyName: string | null;
}

export function viewOf(document: Readonly<Record<string, unknown>>): ManifestView {
  return {
    document,
    mounts: mountsOf(document),
    trusted: uris(at(document, "sgx.trusted_files")),
    allowed: uris(at(document, "sgx.allowed_files")),
    environment: Object.fromEntries(
      Object.entries(table(at(document, "loader.env"))).map(([name, value]) => [name, valueOf(value)]),
    ),
    argv: listOfText(at(document, "loader.argv")),
    entrypoint: text(at(document, "libos.entrypoint")),
  };
}

/** The value at a dotted key; undefined where there is none. */
export function at(document: unknown, key: string): unknown {
  return key.split(".").reduce<unknown>((value, part) => (isTable(value) ? value[part] : undefined), document);
}

export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export const table = (value: unknown): Readonly<Record<string, unknown>> => (isTable(value) ? value : {});
export const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** URIs of trusted or allowed files, in the form of today or in the table of names of old. */
export function uris(value: unknown): string[] {
  const entries = Array.isArray(value) ? (value as unknown[]) : Object.values(table(value));
  return entries.map((entry) => (isTable(entry) ? text(entry["uri"]) : text(entry))).filter((uri) => uri !== "");
}

function mountsOf(document: unknown): MountView[] {
  const mounts = at(document, "fs.mounts");
  const old = [
    ...Object.values(table(at(document, "fs.mount"))),
    ...uris(at(document, "sgx.protected_files")).map((uri) => ({ type: "encrypted", uri })),
  ];
  return [...(Array.isArray(mounts) ? (mounts as unknown[]) : []), ...old].filter(isTable).map((mount) => ({
    type: text(mount["type"]) || "chroot",
    path: text(mount["path"]),
    uri: text(mount["uri"]),
    keyName: typeof mount["key_name"] === "string" ? mount["key_name"] : null,
  }));
}

function listOfText(value: unknown): string[] | null {
  return Array.isArray(value) ? (value as unknown[]).map(text) : null;
}

/** Null for a variable that the host sets. */
function valueOf(value: unknown): string | null {
  if (typeof value === "string") return value;
  return isTable(value) && typeof value["value"] === "string" ? value["value"] : null;
}
