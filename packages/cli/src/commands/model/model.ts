import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { importModel, type ImportOptions, modelNameOf, type OwnedModel, readModel } from "@cloister/deploy";
import { generateResNet50, inspectModel } from "@cloister/saved-model";
import { fetchModel, MODEL_SOURCES } from "@cloister/saved-model/rim";
import { Argument, Command } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal, type Terminal } from "../../output/terminal.ts";
import { inspectionJson, progressBar, showInspection } from "./output.ts";
import { wholeNumber } from "../../flags.ts";

const RESNET = "resnet50-v15-fp32";

interface JsonFlag {
  readonly json?: boolean;
}

interface ImportFlags extends JsonFlag {
  readonly name?: string;
  readonly modelVersion?: number;
  readonly modelsDir: string;
  readonly inputs?: string;
  readonly outputs?: string;
  readonly signature?: string;
  readonly tags?: string;
  readonly methodName?: string;
  /** The original converter's options. */
  readonly import_path?: string;
  readonly export_dir?: string;
  readonly model_version?: number;
}

interface FetchFlags extends ImportFlags {
  readonly downloadsDir: string;
}

/** `cloister model`: models in the owner's hands. */
export function modelCommand(setExit: (code: number) => void): Command {
  const model = new Command("model").description("Import, inspect, fetch and generate models.");
  withImportOptions(model.command("import"))
    .description(
      "Import a SavedModel folder, a frozen GraphDef (.pb) or a TensorFlow.js graph model into models/<name>/<version>/.",
    )
    .argument("[path]", "SavedModel folder, frozen GraphDef, or model.json of a TensorFlow.js graph model")
    .option(
      "--import_path <path>",
      "the original converter's name for the path; the aliases are then input and predict",
    )
    .option("--export_dir <folder>", "the original converter's folder: the model goes to <folder>/<version>/")
    .option(
      "--model_version <n>",
      "the original converter's name for --model-version",
      wholeNumber(1, Number.MAX_SAFE_INTEGER),
    )
    .action(async (given: string | undefined, flags: ImportFlags, command: Command) => {
      const path = given ?? flags.import_path;
      if (path === undefined) command.error("error: name the model to import");
      setExit(await importFrom(path, flags));
    });
  model
    .command("inspect")
    .description("Print signatures, ops and size of a model, and whether the embedded engine can run it.")
    .argument("<path>", "SavedModel folder, frozen GraphDef, or model.json of a TensorFlow.js graph model")
    .option("--json", "print one JSON document")
    .action(async (path: string, flags: JsonFlag) => setExit(await inspect(path, flags)));
  withImportOptions(model.command("fetch"))
    .description("Download a published model, pin its digest, and import it.")
    .addArgument(new Argument("<name>", "which model").choices(Object.keys(MODEL_SOURCES)))
    .option("--downloads-dir <folder>", "where downloads and their pinned digests are kept", "downloads")
    .action(async (name: string, flags: FetchFlags) => setExit(await fetchAndImport(name, flags)));
  model
    .command("generate")
    .description("Write a frozen graph of the exact topology with seeded random weights, for speed and scale.")
    .addArgument(new Argument("<name>", "which topology").choices([RESNET]))
    .requiredOption("--output <file>", "where to write the .pb")
    .option("--seed <n>", "seed of the weights (default: 1)", wholeNumber(0, 0xffff_ffff), 1)
    .option("--json", "print one JSON document")
    .action(async (name: string, flags: GenerateFlags) => setExit(await generate(name, flags)));
  return model;
}

function withImportOptions(command: Command): Command {
  return command
    .option("--name <name>", "name of the model; default: from the path")
    .option("--model-version <n>", "version (default: 1)", wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .option("--models-dir <folder>", "where models are kept", "models")
    .option("--inputs <names>", "input nodes of a graph, comma-separated, each NODE or ALIAS=NODE (default: input)")
    .option("--outputs <names>", "output nodes of a graph, comma-separated, each NODE or ALIAS=NODE (default: predict)")
    .option("--signature <name>", "name of the signature of a graph (default: serving_default)")
    .option("--tags <names>", "tags of the SavedModel that a graph becomes, comma-separated (default: serve)")
    .option("--method-name <name>", "method name of that signature (default: tensorflow/serving/predict)")
    .option("--json", "print one JSON document");
}

async function importFrom(path: string, flags: ImportFlags): Promise<number> {
  const terminal = openTerminal(flags.json === true);
  report(terminal, flags, await importModel(importOptions(path, flags)));
  return EXIT.done;
}

async function inspect(path: string, flags: JsonFlag): Promise<number> {
  const inspection = inspectModel(await readModel(path));
  const terminal = openTerminal(flags.json === true);
  showInspection(terminal, inspection);
  if (flags.json === true) process.stdout.write(`${JSON.stringify(inspectionJson(inspection))}\n`);
  return EXIT.done;
}

async function fetchAndImport(name: string, flags: FetchFlags): Promise<number> {
  const terminal = openTerminal(flags.json === true);
  await mkdir(flags.downloadsDir, { recursive: true });
  const fetched = await fetchModel(name, flags.downloadsDir, { onProgress: progressBar(terminal) });
  const { inputs, outputs } = fetched.source;
  const model = await importModel({ ...importOptions(fetched.path, { name, ...flags }), inputs, outputs });
  terminal.line(`SHA-256 ${fetched.sha256} pinned in ${join(flags.downloadsDir, "pins.txt")}`);
  report(terminal, flags, model);
  return EXIT.done;
}

interface GenerateFlags extends JsonFlag {
  readonly output: string;
  readonly seed: number;
}

async function generate(name: string, flags: GenerateFlags): Promise<number> {
  const graph = generateResNet50({ seed: flags.seed });
  await writeFile(flags.output, graph);
  openTerminal(flags.json === true).line(`${name}: ${graph.length} bytes in ${flags.output}`);
  if (flags.json === true)
    process.stdout.write(`${JSON.stringify({ name, output: flags.output, bytes: graph.length })}\n`);
  return EXIT.done;
}

function importOptions(path: string, flags: ImportFlags): ImportOptions {
  const list = (text: string): string[] => text.split(",").map((name) => name.trim());
  const inputs = aliased(flags, "input", flags.inputs === undefined ? undefined : list(flags.inputs));
  const outputs = aliased(flags, "predict", flags.outputs === undefined ? undefined : list(flags.outputs));
  return {
    path,
    name: flags.name ?? modelNameOf(path),
    version: flags.modelVersion ?? flags.model_version ?? 1,
    modelsDir: resolve(flags.modelsDir),
    ...(flags.export_dir !== undefined && { exportDir: resolve(flags.export_dir) }),
    ...(inputs && { inputs }),
    ...(outputs && { outputs }),
    ...(flags.signature !== undefined && { signature: flags.signature }),
    ...(flags.tags !== undefined && { tags: list(flags.tags) }),
    ...(flags.methodName !== undefined && { methodName: flags.methodName }),
  };
}

/** Requests to a model of the original converter always call its input `input` and its output `predict`. */
function aliased(
  flags: ImportFlags,
  alias: string,
  names: readonly string[] | undefined,
): readonly string[] | undefined {
  const [name, ...others] = names ?? [];
  const isOriginal = flags.import_path !== undefined && name !== undefined && others.length === 0;
  return isOriginal && !name.includes("=") ? [`${alias}=${name}`] : names;
}

function report(terminal: Terminal, flags: JsonFlag, { name, version, files, folder }: OwnedModel): void {
  const paths = [...files.keys()];
  terminal.line(`imported ${name} version ${version}: ${paths.length} files in ${folder}`);
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ name, version, folder, files: paths })}\n`);
}
