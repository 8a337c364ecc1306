import { readFile } from "node:fs/promises";
import { fromUtf8 } from "@cloister/encoding";
import { parseStrictJson } from "@cloister/encoding/canonical-json";
import { BrokerError } from "../broker-error.ts";

const MAX_POLICY_BYTES = 16 << 20;

/** Turns the text of a policy file into a value, not yet checked. */
export type PolicyReader = (text: string, path: string) => unknown;

const readJson: PolicyReader = (text) => parseStrictJson(text, { maxLength: MAX_POLICY_BYTES });

/**
 * The value in a policy file of at most 16 MiB. `parsePolicy` decides whether it is a policy. Throws POLICY_FILE_UNREADABLE,
 * whose message never quotes the file.
 */
export async function readPolicyFile(path: string, reader: PolicyReader = readJson): Promise<unknown> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "an error";
    throw unreadable(path, { why: `the system says ${code}`, remedy: "check the path and who may read it", cause });
  }
  try {
    const text = bytes.length <= MAX_POLICY_BYTES ? fromUtf8(bytes) : undefined;
    if (text === undefined) throw new RangeError("too long or not UTF-8");
    return reader(text, path);
  } catch (cause) {
    const remedy = "correct the file; then try it with cloister policy check";
    throw unreadable(path, { why: "it is no JSON or YAML of at most 16 MiB", remedy, cause });
  }
}

function unreadable(
  path: string,
  { why, remedy, cause }: { why: string; remedy: string; cause: unknown },
): BrokerError {
  return new BrokerError("POLICY_FILE_UNREADABLE", { what: `the policy ${path} was not read`, why, remedy }, { cause });
}
