import { type ApiObject, metadataOf, selectorLabels } from "../api-object.ts";
import type { Source } from "../source.ts";
import { HEALTH_PORT, SERVING_PORT } from "./layout.ts";

/**
 * Who speaks with replicas: anybody to the serving port, where TLS decides; this namespace to the counters. They speak to the
 * broker, to DNS and, on hardware, to nobody else: the node's own service fetches certificates.
 */
export function networkPolicy(source: Source): ApiObject & { spec: object } {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: metadataOf(source, source.text("name")),
    spec: {
      podSelector: { matchLabels: selectorLabels(source) },
      policyTypes: ["Ingress", "Egress"],
      ingress: [
        { ports: [{ protocol: "TCP", port: SERVING_PORT }] },
        { from: [{ podSelector: {} }], ports: [{ protocol: "TCP", port: HEALTH_PORT }] },
      ],
      egress: [
        {
          ports: [
            { protocol: "UDP", port: 53 },
            { protocol: "TCP", port: 53 },
          ],
        },
        { ports: [{ protocol: "TCP", port: source.number("broker.port") }] },
        // Models come from an object store over HTTPS.
        source.when({ path: "modelDelivery.kind", is: ["object-store"] }, { ports: [{ protocol: "TCP", port: 443 }] }),
      ],
    },
  };
}
