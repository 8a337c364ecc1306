import { Argument, Command, Option } from "commander";
import { wholeNumber } from "../../flags.ts";
import { type BundleFlags, bundleModel, type OpenFlags, openModel, type SealFlags, verifyModel } from "./bundle.ts";
import { inspect, type InspectFlags } from "./inspect.ts";
import { type ReKeyFlags, reKey } from "./rekey.ts";
import { type RoleBundleFlags, makeRoleBundle } from "./role-bundle.ts";

const MAX_THREADS = 64;

/** `cloister seal`: protected files and bundles of sealed models. `pf-crypt` is parsed by `runPfCrypt`; it stands here for the help. */
export function sealCommand(setExit: (code: number) => void): Command {
  const seal = new Command("seal").description("Seal, open, verify, re-key and inspect models and protected files.");
  withModel(seal.command("bundle"))
    .description("Seal a model directory, file by file, and sign the list of its files.")
    .argument("<directory>", "the model's version directory")
    .option(
      "--generation <n>",
      "generation of the bundle (default: the next one)",
      wholeNumber(1, Number.MAX_SAFE_INTEGER),
    )
    .addOption(new Option("--format <version>", "format to write").choices(["1.0", "2.0"]).default("1.0"))
    .option("--replace", "replace the sealed directory of the same version")
    .action(async (directory: string, flags: SealFlags) => setExit(await bundleModel(directory, flags)));
  withCheck(seal.command("open"))
    .description("Verify a sealed model against its manifest and write the plaintext, all of it or nothing.")
    .requiredOption("--output <folder>", "where to write the plaintext")
    .option("--replace", "replace the output folder")
    .action(async (flags: OpenFlags) => setExit(await openModel(flags)));
  withCheck(seal.command("verify"))
    .description("Verify a sealed model against its manifest, to the last byte, and write nothing.")
    .action(async (flags: BundleFlags) => setExit(await verifyModel(flags)));
  withCheck(seal.command("rekey"))
    .description("Put a sealed model, or one protected file, under a new wrap key.")
    .argument("[file]", "one protected file instead of a model")
    .option("--bound-path <path>", "one file: the path it is bound to")
    .option("--new-wrap-key <file>", "one file: the new wrap key; made where there is none")
    .option("--full", "encrypt everything anew, not the first node only")
    .action(async (file: string | undefined, flags: ReKeyFlags) => setExit(await reKey(file, flags)));
  seal
    .command("inspect")
    .description(
      "Print header, tree shape and, with the key, the bound path of a protected file or of a model's bundle.",
    )
    .argument("<path>", "protected file, or bundle manifest (.json)")
    .option("--wrap-key <file>", "wrap key, to read what is encrypted in the header")
    .option("--manifest <file>", "bundle manifest, to see the generation it pins the file for")
    .option("--json", "print one JSON document")
    .action(async (path: string, flags: InspectFlags) => setExit(await inspect(path, flags)));
  seal
    .command("role-bundle")
    .description("Copy from a workspace what a role gets, and refuse where a secret or a plaintext model is in it.")
    .addArgument(new Argument("<role>", "who gets it").choices(["host", "requester", "owner"]))
    .requiredOption(
      "--workspace <folder>",
      "the owner's folder: models, bundles, certs, enclave, deploy, policy, anchors",
    )
    .requiredOption("--output <folder>", "where to write the bundle")
    .option("--wrap-key <files...>", "wrap keys to look for in every file")
    .option("--replace", "replace the output folder")
    .option("--json", "print one JSON document")
    .action(async (role: string, flags: RoleBundleFlags) => setExit(await makeRoleBundle(role, flags)));
  seal
    .command("pf-crypt")
    .description("Stand in for gramine-sgx-pf-crypt: gen-key, encrypt, decrypt. Its own --help says more.")
    .argument("<mode>", "gen-key, encrypt or decrypt");
  return seal;
}

/** Which model, and the folders it stands in. */
function withModel(command: Command): Command {
  return command
    .option("--name <name>", "name of the model")
    .option("--model-version <n>", "version of the model", wholeNumber(0, Number.MAX_SAFE_INTEGER), 1)
    .option("--sealed <folder>", "where sealed models and their manifests are kept", "sealed")
    .option("--keys <folder>", "the owner's keys and generations, kept secret", "keys")
    .option("--threads <n>", "threads for large models", wholeNumber(1, MAX_THREADS), 2)
    .option("--json", "print one JSON document");
}

/** What to verify with, for those who do not hold the owner's folder of keys. */
function withCheck(command: Command): Command {
  return withModel(command)
    .option("--wrap-key <file>", "wrap key (default: that of the model in --keys)")
    .option("--owner-key <file>", "the owner's public key in PEM (default: that in --keys)")
    .option(
      "--minimum-generation <n>",
      "refuse older ones (default: as recorded in --keys)",
      wholeNumber(0, Number.MAX_SAFE_INTEGER),
    );
}
