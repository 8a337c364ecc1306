import { resolve } from "node:path";
import { buildRoleBundle, type Role } from "@cloister/protected-files";
import { readKeyFile, readTree, writeTreeAtomically } from "@cloister/protected-files/rim";
import { EXIT } from "../../output/exit-code.ts";
import { renderTable } from "../../output/table.ts";
import { openTerminal } from "../../output/terminal.ts";

export interface RoleBundleFlags {
  readonly workspace: string;
  readonly output: string;
  readonly wrapKey?: readonly string[];
  readonly replace?: boolean;
  readonly json?: boolean;
}

/** `cloister seal role-bundle`. Private files of the requester and owner stay private: those bundles are written with mode 0600. */
export async function makeRoleBundle(role: string, flags: RoleBundleFlags): Promise<number> {
  const terminal = openTerminal(flags.json === true);
  const keys = await Promise.all((flags.wrapKey ?? []).map((path) => readKeyFile(path)));
  const wrapKeys = keys.map(({ wrapKey }) => wrapKey);
  const { files, leftOut } = buildRoleBundle(role as Role, await readTree(flags.workspace), { wrapKeys });
  const mode = role === "host" ? 0o644 : 0o600;
  await writeTreeAtomically(resolve(flags.output), files, { replace: flags.replace, mode });
  const rows = [...files].map(([path, bytes]) => [path, String(bytes.length)]);
  terminal.line(renderTable([{ title: "file" }, { title: "bytes", align: "right" }], rows));
  terminal.line(`${role}: ${files.size} files in ${flags.output}; ${leftOut.length} left out`);
  if (flags.json === true)
    process.stdout.write(`${JSON.stringify({ ok: true, role, files: [...files.keys()], leftOut })}\n`);
  return EXIT.done;
}
