import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { GramineRole, ImageRole } from "@cloister/deploy/images";
import { Command, Option } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";
import { need } from "../../read-document.ts";
import { INSTALLATION } from "./options.ts";

interface BuildFlags {
  readonly role: ImageRole | GramineRole;
  readonly base?: readonly string[];
  readonly enclave?: string;
  readonly reference?: string;
  readonly output: string;
  readonly json?: boolean;
}

interface StageFlags {
  readonly role: ImageRole | GramineRole;
  readonly enclave?: string;
  readonly base?: boolean;
  readonly built?: boolean;
  readonly node?: string;
  readonly output: string;
  readonly json?: boolean;
}

interface RenderFlags {
  readonly output: string;
  readonly json?: boolean;
}

const ROLES = ["serving", "broker", "gateway", "client"] satisfies ImageRole[];
const GRAMINE_ROLES: readonly string[] = ["replica-gramine", "serving-gramine"] satisfies GramineRole[];

/** An image that runs replicas has this file, but nothing that builds images. */
const images = () => import("@cloister/deploy/images");

const roleOption = (roles: readonly string[]): Option =>
  new Option("--role <role>", "what it is for").choices(roles).makeOptionMandatory();
const enclaveOption = (): Option =>
  new Option("--enclave <folder>", "for the gramine roles: what enclave manifest and enclave sign wrote");
const isGramine = (role: string): role is GramineRole => GRAMINE_ROLES.includes(role);

/** `cloister enclave image`: container images that hold a program by an allow-list and nothing else. */
export function imageCommand(setExit: (code: number) => void): Command {
  const image = new Command("image").description(
    "Build container images: an allow-list of files, reproducible, not root.",
  );
  image
    .command("build")
    .description("Write an image as an archive that docker load, ctr images import and podman load take.")
    .addOption(roleOption([...ROLES, ...GRAMINE_ROLES]))
    .option("--base <file...>", "root file systems below, uncompressed tar (default: none, libraries of this machine)")
    .addOption(enclaveOption())
    .option("--reference <name:tag>", "name of the image (default: cloister/ROLE:latest)")
    .requiredOption("--output <file>", "where to write it")
    .option("--json", "print one JSON document")
    .action(async (flags: BuildFlags) => setExit(await build(flags)));
  image
    .command("stage")
    .description("Lay the files of an image out in a folder, for a builder that copies folders.")
    .addOption(roleOption([...ROLES, ...GRAMINE_ROLES]))
    .addOption(enclaveOption())
    .option("--built", "built packages (npm run build) in place of sources: what runs under Gramine")
    .option("--base", "leave out the libraries of the system: a layer below has them")
    .option("--node <file>", "Node.js to put in (default: the one that runs this)")
    .requiredOption("--output <folder>", "where to lay them")
    .option("--json", "print one JSON document")
    .action(async (flags: StageFlags) => setExit(await stage(flags)));
  image
    .command("render")
    .description("Write Dockerfiles and compose files, for those who build with Docker.")
    .requiredOption("--output <folder>", "where to write them")
    .option("--json", "print one JSON document")
    .action(async (flags: RenderFlags) => setExit(await render(flags)));
  return image;
}

async function build(flags: BuildFlags): Promise<number> {
  const { role, output, json } = flags;
  const { buildGramineImage, buildImage } = await images();
  const reference = flags.reference ?? `cloister/${role}:latest`;
  const base = (flags.base ?? []).map((file) => resolve(file));
  const written = isGramine(role)
    ? await buildGramineImage(resolve(output), {
        role,
        reference,
        base: need(base.length > 0 ? base : undefined, "--base"),
        enclave: resolve(need(flags.enclave, "--enclave")),
      })
    : await buildImage(resolve(output), { installation: INSTALLATION, role, reference, base });
  const terminal = openTerminal(json === true);
  terminal.line(`${output}: ${written.reference}, ${written.sizeBytes} bytes`);
  terminal.line(`digest ${written.digest}`);
  return print(json, { ok: true, output, ...written });
}

async function stage(flags: StageFlags): Promise<number> {
  const { role, base, built, node, output, json } = flags;
  const { stageGramineImage, stageImage } = await images();
  const installation = node === undefined ? INSTALLATION : { ...INSTALLATION, nodeExecutable: resolve(node) };
  const files = isGramine(role)
    ? await stageGramineImage(resolve(output), role, resolve(need(flags.enclave, "--enclave")))
    : await stageImage(resolve(output), { installation, role, hasBase: base === true, isBuilt: built === true });
  openTerminal(json === true).line(`${output}: ${files} files of the ${role} image`);
  return print(json, { ok: true, output, files });
}

async function render({ output, json }: RenderFlags): Promise<number> {
  const sources = (await images()).renderImageSources();
  await mkdir(output, { recursive: true });
  const terminal = openTerminal(json === true);
  for (const [name, text] of sources) {
    await writeFile(join(output, name), text);
    terminal.line(join(output, name));
  }
  return print(json, { ok: true, output, files: [...sources.keys()] });
}

function print(json: boolean | undefined, data: object): number {
  if (json === true) process.stdout.write(`${JSON.stringify(data)}\n`);
  return EXIT.done;
}
