import { CodedError, type Explanation } from "@cloister/encoding";

const key = "check that the wrap key belongs to this file, and fetch the file again from its owner";
const again = "fetch the file again from its owner";
const bundle = "fetch the whole bundle again from its owner; do not serve what is there";

/** Every code with what happened, why it is refused and what to do. The reference page of the documentation is made from it. */
export const EXPLANATIONS = {
  WRAP_KEY_LENGTH: ["wrap key refused", "a wrap key has exactly 16 bytes", "make one with `seal pf-crypt gen-key`"],
  PATH_EMPTY: ["bound path refused", "it is empty in normal form", "name the path the runtime opens"],
  PATH_TOO_LONG: ["bound path refused", "it has more than 771 bytes in UTF-8", "use a shorter path"],
  PATH_MALFORMED: ["bound path refused", "it is not NUL-free, well-formed Unicode text", "use a plain path"],
  SIZE_OUT_OF_RANGE: ["size refused", "it is larger than any file this format serves", "split the file"],
  RANGE_OUT_OF_BOUNDS: [
    "range refused",
    "offset or length is not a whole number within the file",
    "ask for a range inside",
  ],
  LENGTH_NOT_NODES: ["not a protected file", "its length is not a positive multiple of 4096 bytes", again],
  MAGIC_UNKNOWN: ["not a protected file", "it does not start with the magic of the format", "seal it first"],
  VERSION_UNSUPPORTED: ["protected file refused", "its major version is neither 1 nor 2", "use a newer release"],
  MINOR_VERSION_UNKNOWN: [
    "protected file refused",
    "its minor version is not 0; the format does not authenticate that byte, so it may have been changed",
    'tolerate "minor-version" to open it as stock tools do',
  ],
  FEATURE_FLAGS_UNKNOWN: [
    "protected file refused",
    "a feature flag is set that no known writer sets; the format does not authenticate the flags",
    'tolerate "feature-flags" to open it as stock tools do',
  ],
  PENDING_WRITE: [
    "protected file refused",
    "its has-pending-write flag is set: a writer stopped in the middle of a flush",
    'recover it with its writer, or tolerate "pending-write" to open what is there',
  ],
  METADATA_PADDING_NOT_ZERO: [
    "protected file refused",
    "the padding of its metadata node is not zero; the format does not authenticate the padding",
    'tolerate "metadata-padding" to open it as stock tools do',
  ],
  METADATA_NOT_AUTHENTIC: ["protected file refused", "its metadata does not verify under this wrap key", key],
  PATH_MISMATCH: ["protected file refused", "it is bound to another path", "put it back where it belongs"],
  PATH_NOT_NORMAL: [
    "protected file refused",
    "it is bound to this path in a form that is not normal, which no current runtime opens",
    'seal it again, or tolerate "raw-path"',
  ],
  TRUNCATED: ["protected file refused", "it has fewer nodes than its size needs", again],
  NODES_APPENDED: [
    "protected file refused",
    "it has more nodes than its size needs; nothing authenticates the rest",
    'tolerate "appended-nodes" to open it as stock tools do',
  ],
  TREE_NODE_NOT_AUTHENTIC: ["protected file refused", "a node of its hash tree does not verify", again],
  DATA_NODE_NOT_AUTHENTIC: ["protected file refused", "a data node does not verify", again],
  INPUT_CHANGED: ["file refused", "it changed while it was read", "run again when nothing writes to it"],
  INPUT_MISSING: ["input refused", "there is no such file or directory", "check the path"],
  INPUT_NOT_REGULAR: ["input refused", "it is neither a regular file nor a directory", "name a regular file"],
  OUTPUT_DIRECTORY_MISSING: ["output refused", "its directory does not exist", "make the directory first"],
  OUTPUT_EXISTS: ["output refused", "there is a file already", "remove it, or allow to overwrite it"],
  TREE_TOO_LARGE: [
    "directory refused",
    "it has more files or bytes than the limit",
    "raise the limit, or name a smaller directory",
  ],
  TREE_PATH_UNSAFE: [
    "path refused",
    "it is not a plain relative path in normal form",
    "use names without `.`, `..` and `//`",
  ],
  CIPHER_UNAVAILABLE: [
    "cipher refused",
    "CLOISTER_NODE_CIPHER asks for one that is not to be had here",
    "unset it, or set it to node:crypto",
  ],
  CIPHER_FAILED: [
    "cipher stopped",
    "OpenSSL reported a failure that is not about the data",
    "set CLOISTER_NODE_CIPHER=node:crypto, and report it",
  ],
  ABORTED: ["stopped", "the caller cancelled", "run again"],
  WORKER_FAILED: ["worker thread stopped", "it ended before its work was done", "run again with fewer workers"],
  BUNDLE_MANIFEST_MALFORMED: ["bundle refused", "its manifest is not what this version writes", bundle],
  BUNDLE_SIGNATURE_INVALID: ["bundle refused", "the owner's signature over its manifest does not verify", bundle],
  BUNDLE_KEY_UNSUITABLE: ["key refused", "bundles are signed with Ed25519", "make an Ed25519 key pair"],
  BUNDLE_MODEL_MISMATCH: ["bundle refused", "it holds another model", "name the right model, or fetch its bundle"],
  BUNDLE_VERSION_MISMATCH: ["bundle refused", "it holds another version of the model", "fetch the right version"],
  BUNDLE_GENERATION_TOO_OLD: ["bundle refused", "its generation is below the minimum: it was replaced", bundle],
  BUNDLE_MODEL_INVALID: [
    "bundle refused",
    "its model name, version or generation is not usable",
    "name it with letters, digits, `.`, `_`, `-`; version and generation are whole numbers from 0",
  ],
  BUNDLE_EMPTY: ["bundle refused", "a bundle holds at least one file", "name a model directory with files"],
  BUNDLE_FILE_MISSING: ["bundle refused", "a file of its manifest is missing", bundle],
  BUNDLE_FILE_EXTRA: ["bundle refused", "it holds a file that its manifest does not name", bundle],
  BUNDLE_FILE_RENAMED: ["bundle refused", "a file stands under another name than in the manifest", bundle],
  BUNDLE_FILE_SWAPPED: ["bundle refused", "a file holds what belongs under another path", bundle],
  BUNDLE_FILE_OLDER: ["bundle refused", "a file is genuine but of another sealing than the manifest names", bundle],
  BUNDLE_FILE_CHANGED: ["bundle refused", "a file is not what was sealed", bundle],
  GENERATION_NOT_NEWER: [
    "generation refused",
    "a newer one was given to this model already",
    "leave it to be counted up",
  ],
  GENERATION_RECORD_MALFORMED: ["generation record refused", "it is not one whole number", "restore it from a backup"],
  ROLE_FILE_NOT_ALLOWED: ["role bundle refused", "a file is not on the role's allow-list", "leave it out"],
  ROLE_PLAINTEXT_MODEL: ["role bundle refused", "a file is a model that is not sealed", "seal it, or leave it out"],
  ROLE_PRIVATE_KEY: ["role bundle refused", "a file holds a private key", "leave it out"],
  ROLE_WRAP_KEY: ["role bundle refused", "a file holds a wrap key", "leave it out"],
} as const satisfies Readonly<Record<string, readonly [what: string, why: string, remedy: string]>>;

export type ProtectedFileCode = keyof typeof EXPLANATIONS;

const MAX_SUBJECT_CHARS = 200;

/**
 * The one error class of this package. `subject` is the name of the file in question where there is one: a name, never
 * content. It may come from an attacker, so the message holds it escaped and cut.
 */
export class ProtectedFileError extends CodedError<ProtectedFileCode> {
  readonly subject: string | undefined;

  constructor(code: ProtectedFileCode, options: { subject?: string | undefined; cause?: unknown } = {}) {
    super(code, explain(code, options.subject), options.cause === undefined ? undefined : { cause: options.cause });
    this.subject = options.subject;
  }
}

function explain(code: ProtectedFileCode, subject: string | undefined): Explanation {
  const [what, why, remedy] = EXPLANATIONS[code];
  return { what: subject === undefined ? what : `${what}: ${printable(subject)}`, why, remedy };
}

function printable(subject: string): string {
  return JSON.stringify(subject.length > MAX_SUBJECT_CHARS ? `${subject.slice(0, MAX_SUBJECT_CHARS)}...` : subject);
}
