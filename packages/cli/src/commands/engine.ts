import { findLibrary, installTensorFlow } from "@cloister/model-server/engine";
import { Argument, Command } from "commander";
import { EXIT } from "../output/exit-code.ts";
import { openTerminal } from "../output/terminal.ts";
import { progressBar } from "./model/output.ts";

interface InstallFlags {
  readonly folder?: string;
  readonly json?: boolean;
}

/** `cloister engine`: what models run on. */
export function engineCommand(setExit: (code: number) => void): Command {
  const engine = new Command("engine").description("Install and list the engines that models run on.");
  engine
    .command("install")
    .description("Fetch TensorFlow's C library from Maven Central, check its pinned digest, unpack it.")
    .addArgument(new Argument("<engine>", "which engine").choices(["tensorflow"]))
    .option("--folder <folder>", "where to; default: the user's data folder, where serve looks")
    .option("--json", "print one JSON document")
    .action(async (_engine: string, flags: InstallFlags) => setExit(await install(flags)));
  engine
    .command("list")
    .description("Tell which engines are here.")
    .option("--json", "print one JSON document")
    .action(async (flags: { readonly json?: boolean }) => setExit(await list(flags.json === true)));
  return engine;
}

async function install({ folder, json }: InstallFlags): Promise<number> {
  const terminal = openTerminal(json === true);
  const installed = await installTensorFlow({
    ...(folder !== undefined && { folder }),
    onProgress: progressBar(terminal),
    onUnpack: () => terminal.status("unpacking"),
  });
  const { version, wasThere } = installed;
  terminal.line(`TensorFlow ${version} ${wasThere ? "is already" : "is now"} in ${installed.folder}`);
  if (folder !== undefined) terminal.line(`serve finds it there with CLOISTER_TENSORFLOW=${installed.folder}`);
  if (json === true) process.stdout.write(`${JSON.stringify({ engine: "tensorflow", ...installed })}\n`);
  return EXIT.done;
}

async function list(asJson: boolean): Promise<number> {
  const folder = await findLibrary();
  const engines = [
    { engine: "onnx", available: true, folder: null },
    { engine: "tensorflow", available: folder !== undefined, folder: folder ?? null },
  ];
  const terminal = openTerminal(asJson);
  for (const { engine, available, folder: place } of engines) {
    const where = place === null ? "built in" : place;
    terminal.line(`${engine}: ${available ? where : "not installed (cloister engine install tensorflow)"}`);
  }
  if (asJson) process.stdout.write(`${JSON.stringify({ engines })}\n`);
  return EXIT.done;
}
