import { resolve } from "node:path";
import {
  enclaveShape,
  GRAMINE_INSTALLATION,
  type WrittenManifest,
  writeReplicaGramine,
  writeServingGramine,
} from "@cloister/enclave";
import { address } from "../../flags.ts";
import { need } from "../../read-document.ts";
import { brokerAddressesOf, DEFAULTS, type EnclaveSettings, replicaConfigOf } from "./options.ts";

/** Writes a Gramine manifest and the measured files beside it into a folder. */
export async function writeGramineManifest(
  settings: EnclaveSettings,
  folder: string,
): Promise<Omit<WrittenManifest, "path"> & { readonly output: string }> {
  const { runtime = "cloister" } = settings;
  const config = await replicaConfigOf(settings, runtime === "cloister");
  const shape = enclaveShape(runtime, need(settings.modelBytes, "--model-bytes"), config.engineThreads);
  const output = {
    folder,
    config,
    brokers: brokerAddressesOf(settings),
    listen: address(settings.listen ?? DEFAULTS.listen),
    base: {
      shape: {
        enclaveSize: settings.enclaveSize ?? shape.enclaveSize,
        maxThreads: settings.maxThreads ?? shape.maxThreads,
      },
      isvProdId: settings.isvProdId ?? 0,
      isvSvn: settings.isvSvn ?? 0,
      gramineFolder: settings.gramineFolder ?? GRAMINE_INSTALLATION,
      libraryFolders: (settings.libraryFolder ?? []).map((path) => resolve(path)),
    },
  };
  const { path, ...facts } =
    runtime === "cloister"
      ? await writeReplicaGramine({
          ...output,
          installation: {
            root: resolve(need(settings.installation, "--installation")),
            nodeExecutable: process.execPath,
          },
          health: address(settings.health ?? DEFAULTS.health),
          waitForBrokerSeconds: settings.waitForBrokerSeconds ?? DEFAULTS.waitForBrokerSeconds,
        })
      : await writeServingGramine({
          ...output,
          binary: settings.binary ?? DEFAULTS.binary,
          keyName: settings.keyName ?? "default",
        });
  return { output: path, ...facts };
}
