import { commonLabels, type ApiObject } from "../api-object.ts";
import { simulatedName } from "../objects/simulated-sgx.ts";
import type { KubernetesSettings } from "../settings.ts";
import type { Source } from "../source.ts";

/** The Secret that the simulated device plugin reads: the keys of a platform that proves nothing. Rendered files never hold it. */
export function simulatedPlatformSecret(settings: KubernetesSettings, state: Buffer): ApiObject & { data: object } {
  const texts: Record<string, string> = { namespace: settings.namespace, name: settings.name };
  const source: Pick<Source, "text"> = { text: (path) => texts[path] ?? "" };
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name: settings.simulatedPlatformSecret,
      namespace: simulatedName(source),
      labels: commonLabels(source),
    },
    data: { "platform.json": state.toString("base64") },
  };
}
