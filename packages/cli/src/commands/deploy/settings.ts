import { readFile } from "node:fs/promises";
import {
  type DeploymentPart,
  type KubernetesSettings,
  PRESETS,
  type PresetName,
  readSettings,
} from "@cloister/deploy/kubernetes";
import { decodeManifest, measureSimulated } from "@cloister/enclave";
import { fromUtf8, toHex } from "@cloister/encoding";
import { type Command, Option } from "commander";
import { z } from "zod";
import { readSection, type Section } from "../../config.ts";
import { InputError, need } from "../../read-document.ts";

/** Checked whole by `readSettings`, together with the flags. */
export const KUBERNETES_SECTION: Section<Record<string, unknown>> = {
  name: "kubernetes",
  schema: z.record(z.string(), z.unknown()),
};

/** Flags of every command about a deployment. They go over the section `kubernetes` of the configuration. */
export interface DeployFlags {
  readonly config?: string;
  readonly preset?: PresetName;
  readonly namespace?: string;
  readonly name?: string;
  readonly image?: string;
  readonly measurement?: string;
  readonly enclaveManifest?: string;
  readonly brokerOnly?: boolean;
  readonly json?: boolean;
}

/** What objects are made of. */
export interface DeployInput {
  readonly settings: KubernetesSettings;
  readonly enclaveManifest: string;
  /** The broker has to be there before the manifest that names its authority. */
  readonly part: DeploymentPart;
}

export function withDeployOptions(command: Command): Command {
  return command
    .option("--config <file>", "configuration (default: cloister.yaml, if there is one)")
    .addOption(new Option("--preset <name>", "kind of cluster").choices([...PRESETS]))
    .option("--namespace <name>", "namespace (default: cloister)")
    .option("--name <name>", "name of the deployment (default: serving)")
    .option("--image <reference>", "image of the replica, by digest")
    .option("--enclave-manifest <file>", "the replica's measured manifest, canonical JSON")
    .option("--measurement <hex>", "MRENCLAVE or MRTD (default with the simulation: of the manifest)")
    .option("--broker-only", "only the broker in the cluster: its authority is needed before there can be a manifest")
    .option("--json", "print JSON");
}

/** Settings out of flags and configuration. Throws CONFIG_*, KUBERNETES_SETTINGS_INVALID, MANIFEST_INVALID, OPTION_*. */
export async function deployInput(flags: DeployFlags): Promise<DeployInput> {
  const { config, brokerOnly, enclaveManifest, measurement, preset, namespace, name, image } = flags;
  const section = (await readSection(config, KUBERNETES_SECTION)) ?? {};
  const given = Object.entries({ preset, namespace, name, image }).filter(([, value]) => value !== undefined);
  if (brokerOnly === true) {
    const placeholder = { image: "none", measurement: "0".repeat(64), model: { name: "none" } };
    const settings = readSettings({ ...placeholder, ...section, ...Object.fromEntries(given) });
    if (settings.broker.kind !== "in-cluster") throw noBrokerInside(settings.broker.kind);
    return { settings, enclaveManifest: "", part: "broker" };
  }
  const bytes = await readFile(need(enclaveManifest, "--enclave-manifest"));
  const manifest = decodeManifest(new Uint8Array(bytes));
  const settings = readSettings({
    // A simulated platform measures the manifest itself.
    measurement: toHex(measureSimulated(manifest)),
    model: manifest.config.model,
    ...section,
    ...Object.fromEntries(given),
    ...(measurement !== undefined && { measurement }),
  });
  return { settings, enclaveManifest: fromUtf8(new Uint8Array(bytes)) ?? "", part: "all" };
}

function noBrokerInside(kind: string): InputError {
  return new InputError("OPTIONS_CONFLICT", {
    what: "the command did not start",
    why: `--broker-only is for a broker in the cluster, and the configuration has one outside (broker.kind ${kind})`,
    remedy: "set broker.kind to in-cluster, or leave --broker-only out",
  });
}
