import { execFile } from "node:child_process";
import type { Stats } from "node:fs";
import { access, open, readFile, realpath, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { Secret } from "@cloister/encoding";
import { BrokerError } from "../broker-error.ts";

const COMMAND_TIMEOUT_MS = 30_000;
const MAX_PASSPHRASE_BYTES = 4096;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * A passphrase from a file; one line end at its end is not part of it. Throws KEY_FILE_EXPOSED where others on this machine
 * may read the file, KEY_IN_REPOSITORY where it stands in a repository, and errors of the file system.
 */
export async function passphraseFromFile(path: string): Promise<Secret> {
  return new Secret(withoutLineEnd(await readSecretFile(path)), "passphrase");
}

/**
 * A passphrase from the environment, taken out of it so that no child process inherits it. Whoever may read this process's
 * memory may also read its first environment: a file or a vault is better. Throws KEY_PROTECTION_UNAVAILABLE where unset.
 */
export function passphraseFromEnvironment(name: string, environment: NodeJS.ProcessEnv = process.env): Secret {
  const value = environment[name];
  delete environment[name];
  if (value === undefined || value === "") throw unavailable(`the environment variable ${name} is not set`);
  return new Secret(new Uint8Array(Buffer.from(value)), "passphrase");
}

/**
 * A passphrase that a command prints, for key services without an adapter here. It runs without a shell; its standard error
 * is not shown, it may hold anything. Throws KEY_PROTECTION_UNAVAILABLE.
 */
export async function passphraseFromCommand([program, ...args]: readonly [string, ...string[]]): Promise<Secret> {
  const bytes = await new Promise<Uint8Array>((resolve, reject) => {
    const options = { encoding: "buffer", timeout: COMMAND_TIMEOUT_MS, maxBuffer: MAX_PASSPHRASE_BYTES } as const;
    execFile(program, args, options, (error, stdout) => {
      // The error quotes the command line and the output: it is not passed on.
      if (error === null) resolve(withoutLineEnd(new Uint8Array(stdout)));
      else reject(unavailable("the passphrase command failed, took longer than 30 s, or printed too much"));
    });
  });
  return new Secret(bytes, "passphrase");
}

/** The bytes of a file that holds a secret: for its owner only, outside of any repository. Errors as above. */
export async function readSecretFile(path: string): Promise<Uint8Array> {
  await refuseRepository(path);
  if (isExposed(await stat(path), process.getgid?.())) {
    throw new BrokerError("KEY_FILE_EXPOSED", {
      what: `${path} was not read`,
      why: "others on this machine may read or change it",
      remedy: "chmod 600 it, and replace the secret if others have had access",
    });
  }
  return new Uint8Array(await readFile(path));
}

/**
 * Makes a file with mode 0600 for a secret. Throws KEY_IN_REPOSITORY, and EEXIST where there is one: it is not touched.
 */
export async function writeSecretFile(path: string, bytes: Uint8Array): Promise<void> {
  await refuseRepository(path);
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

const [OTHERS, OTHERS_OR_GROUP_WRITES, ROOT] = [0o077, 0o037, 0];

/**
 * Whether more than one account may read or change a file. One of root's that this process's own group may read counts as for
 * its owner only: Kubernetes gives a pod's Secrets that way to a user that is not root.
 */
export function isExposed({ mode, uid, gid }: Pick<Stats, "mode" | "uid" | "gid">, ownGroup?: number): boolean {
  const isFromRoot = uid === ROOT && gid === ownGroup && gid !== ROOT;
  return (mode & (isFromRoot ? OTHERS_OR_GROUP_WRITES : OTHERS)) !== 0;
}

/** Throws KEY_IN_REPOSITORY where a folder above the path is a git working tree: what is in there gets published one day. */
async function refuseRepository(path: string): Promise<void> {
  // A link into a repository is as bad as a file in one.
  const real = await realpath(path)
    .catch(() => realpath(dirname(path)))
    .catch(() => path);
  if (!(await isInRepository(path)) && !(await isInRepository(real))) return;
  throw new BrokerError("KEY_IN_REPOSITORY", {
    what: `${path} was refused`,
    why: "it stands in a repository, where secrets get committed and published",
    remedy: "keep it outside, and replace the secret if it was ever committed",
  });
}

/** Whether the path, or a folder above it, is a working tree. */
async function isInRepository(path: string): Promise<boolean> {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    const isWorkingTree = await access(join(folder, ".git")).then(
      () => true,
      () => false,
    );
    if (isWorkingTree) return true;
    if (dirname(folder) === folder) return false;
  }
}

function withoutLineEnd(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  if (bytes[end - 1] === LINE_FEED) end -= 1;
  if (end < bytes.length && bytes[end - 1] === CARRIAGE_RETURN) end -= 1;
  return bytes.slice(0, end);
}

function unavailable(why: string): BrokerError {
  return new BrokerError("KEY_PROTECTION_UNAVAILABLE", {
    what: "the key store was not opened",
    why,
    remedy: "correct where the passphrase comes from",
  });
}
