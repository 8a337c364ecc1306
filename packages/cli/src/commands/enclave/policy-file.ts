import { readFile, rename, writeFile } from "node:fs/promises";
import { type MeasuredManifest, policyIdentity } from "@cloister/enclave";
import { parsePolicy, POLICY_SCHEMA } from "@cloister/policy";
import { parseDocument as parseYamlDocument } from "yaml";

export interface PolicyUpdate {
  readonly file: string;
  readonly workload: string;
  readonly measured: MeasuredManifest;
  /** Keep the identities that are there. */
  readonly keep: boolean;
  /** The whole workload, where the policy has none of that name. */
  readonly entry: () => Promise<object>;
}

/**
 * Names a measurement in a policy file, JSON or YAML, and leaves everything else in it as it is, comments too. The file is replaced
 * at once, and only by a valid policy. Throws `PolicyError`.
 */
export async function updatePolicyFile(update: PolicyUpdate): Promise<"added" | "updated" | "unchanged"> {
  const text = await readFile(update.file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  const document = parseYamlDocument(text ?? emptyPolicy(update), { uniqueKeys: true });
  const { workloads } = parsePolicy(document.toJS({ maxAliasCount: 10 }));
  const index = workloads.findIndex(({ name }) => name === update.workload);
  const identity = policyIdentity(update.measured);
  if (index < 0) {
    const entry = document.createNode(await update.entry());
    if (workloads.length === 0) document.set("workloads", document.createNode([entry]));
    else document.addIn(["workloads"], entry);
  } else {
    const known = workloads[index]?.identities ?? [];
    const isKnown = known.some((one) => one.tee === "sgx" && one.mrenclave === identity.mrenclave);
    if (isKnown && (update.keep || known.length === 1)) return "unchanged";
    const path = ["workloads", index, "identities"];
    if (update.keep) document.addIn(path, document.createNode(identity));
    else document.setIn(path, document.createNode([identity]));
  }
  parsePolicy(document.toJS({ maxAliasCount: 10 }));
  await replaceFile(update.file, isJson(text, update.file) ? jsonText(document.toJS()) : document.toString());
  return index < 0 ? "added" : "updated";
}

/** A policy for the SIMULATED platform has to say that it is none for production. */
function emptyPolicy({ measured }: PolicyUpdate): string {
  return `schema: ${POLICY_SCHEMA}\nproduction: ${measured.platform !== "simulated"}\nworkloads: []\n`;
}

function isJson(text: string | undefined, file: string): boolean {
  return text === undefined ? file.endsWith(".json") : text.trimStart().startsWith("{");
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

async function replaceFile(file: string, text: string): Promise<void> {
  const next = `${file}.next`;
  await writeFile(next, text);
  await rename(next, file);
}
