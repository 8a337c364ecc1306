import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { FORMATS, renderFiles, type RenderFormat } from "@cloister/deploy/kubernetes";
import { Command, Option } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";
import { type DeployFlags, deployInput, withDeployOptions } from "./settings.ts";

interface RenderFlags extends DeployFlags {
  readonly format: RenderFormat;
  readonly output?: string;
}

/** `cloister deploy render`: the objects as files, for a look at them and for other tools. */
export function renderCommand(setExit: (code: number) => void): Command {
  return withDeployOptions(new Command("render"))
    .description("Write the Kubernetes objects: plain YAML, a Helm chart, or a Kustomize base with overlays.")
    .addOption(new Option("--format <format>", "form of the output").choices([...FORMATS]).default("yaml"))
    .option("--output <folder>", "where to write the files (default for yaml: one stream on standard output)")
    .action(async (flags: RenderFlags) => setExit(await render(flags)));
}

async function render(flags: RenderFlags): Promise<number> {
  const { settings, enclaveManifest, part } = await deployInput(flags);
  const files = renderFiles(flags.format, settings, enclaveManifest, part);
  const { output } = flags;
  if (output === undefined) {
    if (flags.json === true) process.stdout.write(`${JSON.stringify({ files: Object.fromEntries(files) })}\n`);
    else for (const [path, text] of files) process.stdout.write(`---\n# ${path}\n${text}`);
    return EXIT.done;
  }
  for (const [path, text] of files) {
    await mkdir(dirname(join(output, path)), { recursive: true });
    await writeFile(join(output, path), text);
  }
  openTerminal(flags.json === true).line(`${files.size} files written to ${output}`);
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ output, files: [...files.keys()] })}\n`);
  return EXIT.done;
}
