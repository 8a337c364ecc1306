import { anySource } from "@cloister/model-server";
import { writeTreeAtomically } from "@cloister/protected-files/rim";

/**
 * Brings the sealed files of a model version from a URL (an archive, or a prefix of an object store) into a folder, which appears whole
 * or not at all. Nothing is trusted on the way, so plaintext HTTP will do: the replica verifies every file against the signed manifest.
 * Throws the codes of `anySource` and of `writeTreeAtomically`.
 */
export async function deliverModel(url: string, folder: string): Promise<number> {
  const files = await anySource({ allowsHttp: true }).readVersion(url);
  await writeTreeAtomically(folder, files, { replace: true });
  return files.size;
}
