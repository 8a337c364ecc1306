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
  try {
    const bytes = await readFile(path);
    const text = bytes.length <= MAX_POLICY_BYTES ? fromUtf8(bytes) : undefined;
    if (text === undefined) throw new RangeError("too long or not UTF-8");
    return reader(text, path);
  } catch (cause) {
    throw new BrokerError(
      "POLICY_FILE_UNREADABLE",
      { what: "the policy file was not read", why: "it is not there, or not JSON or YAML", remedy: "correct the file" },
      { cause },
    );
  }
}
