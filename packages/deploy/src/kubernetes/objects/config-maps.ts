import type { V1ConfigMap } from "@kubernetes/client-node";
import { type ApiObject, metadataOf } from "../api-object.ts";
import type { Source } from "../source.ts";
import { MODELS_FOLDER } from "./layout.ts";

type ConfigMap = V1ConfigMap & ApiObject;

/**
 * What the replica is: its measured manifest. It is not secret, and the host can weaken nothing with it: another manifest has
 * another measurement.
 */
export function replicaConfig(source: Source): ConfigMap {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: metadataOf(source, `${source.text("name")}-replica`),
    data: { "enclave-manifest.json": source.text("enclaveManifest") },
  };
}

/** TensorFlow Serving's model configuration, for images that run `tensorflow_model_server` under Gramine. */
export function modelConfig(source: Source): ConfigMap {
  const name = source.text("model.name");
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: metadataOf(source, `${source.text("name")}-models`),
    data: {
      "models.config":
        `model_config_list { config { name: "${name}" base_path: "${MODELS_FOLDER}/${name}" model_platform: "tensorflow" ` +
        `model_version_policy { specific { versions: ${source.text("model.version")} } } } }\n`,
    },
  };
}

/** Where the quoting library on the platform gets its certificates from: `/etc/sgx_default_qcnl.conf`. */
export function quoteConfig(source: Source): ConfigMap {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: metadataOf(source, `${source.text("name")}-pccs`),
    data: {
      "sgx_default_qcnl.conf": `{"pccs_url":"${source.text("pccs.url")}","use_secure_cert":${source.text("pccs.hasSecureCert")},"retry_times":6,"retry_delay":10}\n`,
    },
  };
}
