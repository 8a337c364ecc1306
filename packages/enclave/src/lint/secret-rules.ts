import type { Spot } from "./finding.ts";
import { covers, normalPath, overlap, pathOf } from "./path.ts";
import { type LintRule, when } from "./rule.ts";
import { at, type ManifestView } from "./view.ts";

const PROVISIONING_LIBRARY = "libsecret_prov_attest.so";

/** Attestation, encrypted mounts, and the broker that has their keys. */
export const SECRET_RULES: readonly LintRule[] = [
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
];

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
