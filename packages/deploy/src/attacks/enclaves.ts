import { appendFile, cp, mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { createSimulatedPlatform } from "@cloister/attestation/simulated";
import { collectTrustedFiles } from "@cloister/enclave";
import { type Attack, type AttackContext, launchAndExpectRefusal } from "./context.ts";

/** Attacks on what runs: the host owns the machine that starts it. */
export const ENCLAVE_ATTACKS: readonly Attack[] = [
  {
    name: "changed-replica",
    tried: "the replica's program gets one more line, and is measured and started as it is then",
    by: "broker",
    refusal: "MEASUREMENT_NOT_ALLOWED",
    run: runChangedProgram,
  },
  {
    name: "debug-enclave",
    tried: "the right program is started as a debug enclave, whose memory the host can read",
    by: "broker",
    refusal: "DEBUG_ENCLAVE",
    run: (context) => launchAndExpectRefusal(context, "attack-debug-enclave", { debug: true }),
  },
  {
    name: "foreign-root",
    tried: "the right measurement comes in a quote of another platform with a root of its own",
    by: "broker",
    refusal: "PCK_CHAIN_ROOT_NOT_TRUSTED",
    run: (context) =>
      launchAndExpectRefusal(context, "attack-foreign-root", {
        platform: createSimulatedPlatform({ now: new Date() }),
      }),
  },
  {
    name: "tls-off",
    tried: "the host starts the replica with an option that turns TLS off",
    by: "replica",
    refusal: "HOST_OPTION_REFUSED",
    run: (context) => launchAndExpectRefusal(context, "attack-tls-off", { hostOptions: { insecure: true } }),
  },
];

/** A copy of the installation in which the replica's entry point has one line more; everything else is the original. */
async function runChangedProgram(context: AttackContext): Promise<string | null> {
  const root = join(context.folder, "changed-replica");
  const original = context.installation.root;
  await mkdir(join(root, "packages"), { recursive: true });
  await symlink(join(original, "node_modules"), join(root, "node_modules"));
  for (const folder of packageFolders(context)) {
    const from = join(original, "packages", folder);
    const to = join(root, "packages", folder);
    if (folder === "enclave") await cp(from, to, { recursive: true });
    else await symlink(from, to);
  }
  await appendFile(join(root, context.manifest.entrypoint), "\nprocess.stdout.write('one more line\\n');\n");
  const installation = { ...context.installation, root };
  const trustedFiles = await collectTrustedFiles(installation, "@cloister/enclave");
  const manifest = { ...context.manifest, trustedFiles };
  return launchAndExpectRefusal(context, "attack-changed-replica", { installation, manifest });
}

function packageFolders({ manifest }: AttackContext): Set<string> {
  const folders = Object.keys(manifest.trustedFiles).map((path) => /^packages\/([^/]+)\//.exec(path)?.[1]);
  return new Set(folders.filter((folder) => folder !== undefined));
}
