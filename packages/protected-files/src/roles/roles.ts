import { checkPlainPath } from "../bundle/names.ts";
import { type ProtectedFileCode, ProtectedFileError } from "../errors.ts";
import { findLeak, type KnownSecrets, type Leak } from "./leaks.ts";

/** Who gets a bundle: the untrusted machine that serves, the one who asks, or the owner of the model. */
export type Role = "host" | "requester" | "owner";

interface RoleRules {
  /** Paths the role gets; all others stay with the owner. */
  readonly allow: readonly RegExp[];
  /** Paths where a private key is meant to be: the role's own. */
  readonly ownKeys: readonly RegExp[];
}

/**
 * What each role gets, by path in the owner's workspace:
 * - host: sealed models, bundle manifests, public certificates, enclave manifests and signatures, deployment files;
 * - requester: public certificates, its own client key pair, the policy to verify the enclave with;
 * - owner: everything.
 */
const RULES: Readonly<Record<Role, RoleRules>> = {
  host: {
    allow: [
      /^models\/.+$/,
      /^bundles\/[^/]+\/[^/]+\.json$/,
      /^certs\/(?:[^/]+\/)*(?:[^/]*cert\.pem|[^/]+\.crt)$/,
      /^enclave\/[^/]+\.(?:manifest|manifest\.sgx|sig)$/,
      /^deploy\/.+\.(?:ya?ml|json|conf)$/,
    ],
    ownKeys: [],
  },
  requester: {
    allow: [
      /^certs\/(?:[^/]+\/)*(?:[^/]*cert\.pem|[^/]+\.crt)$/,
      /^certs\/client\/key\.pem$/,
      /^policy\/[^/]+\.(?:ya?ml|json)$/,
      /^anchors\/[^/]+\.(?:pem|crt)$/,
    ],
    ownKeys: [/^certs\/client\/key\.pem$/],
  },
  owner: { allow: [/^.+$/], ownKeys: [/^.+$/] },
};

const LEAK_CODES: Readonly<Record<Leak, ProtectedFileCode>> = {
  "plaintext model": "ROLE_PLAINTEXT_MODEL",
  "private key": "ROLE_PRIVATE_KEY",
  "wrap key": "ROLE_WRAP_KEY",
};

/** A role's files out of a workspace, and what was left out. */
export interface RoleBundle {
  readonly role: Role;
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly leftOut: readonly string[];
}

/**
 * The files of a workspace that a role gets: those on its allow-list, each checked for leaks. Throws TREE_PATH_UNSAFE,
 * ROLE_PLAINTEXT_MODEL, ROLE_PRIVATE_KEY or ROLE_WRAP_KEY with the file as `subject`.
 */
export function buildRoleBundle(
  role: Role,
  workspace: ReadonlyMap<string, Uint8Array>,
  known: KnownSecrets = {},
): RoleBundle {
  const files = new Map<string, Uint8Array>();
  const leftOut: string[] = [];
  for (const path of [...workspace.keys()].sort()) {
    checkPlainPath(path);
    if (isAllowed(role, path)) files.set(path, workspace.get(path) ?? new Uint8Array());
    else leftOut.push(path);
  }
  checkRoleBundle(role, files, known);
  return { role, files, leftOut };
}

/**
 * Checks files that are about to go to a role, wherever they come from. Throws ROLE_FILE_NOT_ALLOWED, and the codes of
 * `buildRoleBundle`. The owner's bundle may hold anything.
 */
export function checkRoleBundle(role: Role, files: ReadonlyMap<string, Uint8Array>, known: KnownSecrets = {}): void {
  for (const [path, bytes] of files) {
    checkPlainPath(path);
    if (!isAllowed(role, path)) throw new ProtectedFileError("ROLE_FILE_NOT_ALLOWED", { subject: path });
    const leak = role === "owner" ? undefined : findLeak(path, bytes, known);
    const meant = leak === "private key" && RULES[role].ownKeys.some((pattern) => pattern.test(path));
    if (leak !== undefined && !meant) throw new ProtectedFileError(LEAK_CODES[leak], { subject: path });
  }
}

function isAllowed(role: Role, path: string): boolean {
  return RULES[role].allow.some((pattern) => pattern.test(path));
}
