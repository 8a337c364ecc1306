import { randomBytes } from "node:crypto";
import { Secret } from "@cloister/encoding";
import { ProtectedFileError } from "../errors.ts";
import { KEY_BYTES } from "../kdf.ts";
import { writeFileAtomically, type WriteOptions } from "./atomic-file.ts";
import { readFully, withInput } from "./file-io.ts";

const OTHERS = 0o077;

/** A fresh wrap key of 16 random bytes. */
export function generateWrapKey(): Secret {
  return new Secret(randomBytes(KEY_BYTES), "wrap key");
}

/** Writes a wrap key as 16 raw bytes with mode 0600. Rejects with WRAP_KEY_LENGTH or OUTPUT_EXISTS. */
export async function writeKeyFile(
  path: string,
  wrapKey: Secret,
  options: Pick<WriteOptions, "overwrite"> = {},
): Promise<void> {
  if (wrapKey.length !== KEY_BYTES) throw new ProtectedFileError("WRAP_KEY_LENGTH");
  const write = { overwrite: options.overwrite, mode: 0o600 };
  await writeFileAtomically(path, write, (file) => file.writeFile(wrapKey.reveal()));
}

export interface KeyFile {
  readonly wrapKey: Secret;
  /** Whether others than the owner may read the file: worth a warning. */
  readonly readableByOthers: boolean;
}

/** Reads a wrap key file of exactly 16 bytes. Rejects with INPUT_MISSING, INPUT_NOT_REGULAR or WRAP_KEY_LENGTH. */
export async function readKeyFile(path: string): Promise<KeyFile> {
  return withInput(path, async (file, sizeBytes) => {
    if (sizeBytes !== KEY_BYTES) throw new ProtectedFileError("WRAP_KEY_LENGTH", { subject: path });
    const bytes = new Uint8Array(KEY_BYTES);
    await readFully(file, bytes, 0);
    const { mode } = await file.stat();
    return { wrapKey: new Secret(bytes, "wrap key"), readableByOthers: (mode & OTHERS) !== 0 };
  });
}
