import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { ImageRole } from "@cloister/deploy/images";
import { Command, Option } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";
import { INSTALLATION } from "./options.ts";

interface BuildFlags {
  readonly role: ImageRole;
  readonly base?: readonly string[];
  readonly reference?: string;
  readonly output: string;
  readonly json?: boolean;
}

interface StageFlags {
  readonly role: ImageRole;
  readonly base?: boolean;
  readonly node?: string;
  readonly output: string;
  readonly json?: boolean;
}

interface RenderFlags {
  readonly output: string;
  readonly json?: boolean;
}

const ROLES = ["serving", "broker", "gateway", "client"] satisfies ImageRole[];

/** An image that runs replicas has this file, but nothing that builds images. */
const images = () => import("@cloister/deploy/images");

const roleOption = (): Option => new Option("--role <role>", "what it is for").choices(ROLES).makeOptionMandatory();

/** `cloister enclave image`: container images that hold a program by an allow-list and nothing else. */
export function imageCommand(setExit: (code: number) => void): Command {
  const image = new Command("image").description(
    "Build container images: an allow-list of files, reproducible, not root.",
  );
  image
    .command("build")
    .description("Write an image as an archive that docker load, ctr images import and podman load take.")
    .addOption(roleOption())
    .option("--base <file...>", "root file systems below, uncompressed tar (default: none, libraries of this machine)")
    .option("--reference <name:tag>", "name of the image (default: cloister/ROLE:latest)")
    .requiredOption("--output <file>", "where to write it")
    .option("--json", "print one JSON document")
    .action(async (flags: BuildFlags) => setExit(await build(flags)));
  image
    .command("stage")
    .description("Lay the files of an image out in a folder, for a builder that copies folders.")
    .addOption(roleOption())
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

async function build({ role, base = [], reference, output, json }: BuildFlags): Promise<number> {
  const written = await (
    await images()
  ).buildImage(resolve(output), {
    installation: INSTALLATION,
    role,
    reference: reference ?? `cloister/${role}:latest`,
    base: base.map((file) => resolve(file)),
  });
  const terminal = openTerminal(json === true);
  terminal.line(`${output}: ${written.reference}, ${written.sizeBytes} bytes`);
  terminal.line(`digest ${written.digest}`);
  return print(json, { ok: true, output, ...written });
}

async function stage({ role, base, node, output, json }: StageFlags): Promise<number> {
  const installation = node === undefined ? INSTALLATION : { ...INSTALLATION, nodeExecutable: resolve(node) };
  const files = await (await images()).stageImage(resolve(output), { installation, role, hasBase: base === true });
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
