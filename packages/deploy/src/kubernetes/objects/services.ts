import type { V1EndpointSlice, V1Service } from "@kubernetes/client-node";
import { type ApiObject, metadataOf, selectorLabels } from "../api-object.ts";
import type { Source } from "../source.ts";
import { SERVING_PORT } from "./layout.ts";

type Service = V1Service & ApiObject;

/** TLS ends in the replica: whatever balances on the way has to leave it alone. */
const GRPC = { name: "grpc", port: SERVING_PORT, targetPort: "grpc", appProtocol: "tls" };

/** The address of all replicas that are ready. */
export function service(source: Source): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: metadataOf(source, source.text("name")),
    spec: {
      type: "ClusterIP",
      selector: selectorLabels(source),
      ports: [GRPC],
    },
  };
}

/** One address for each replica, for clients that balance on their own: connections outlive the number of replicas. */
export function headlessService(source: Source): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: metadataOf(source, `${source.text("name")}-headless`),
    spec: {
      clusterIP: "None",
      selector: selectorLabels(source),
      ports: [GRPC],
    },
  };
}

/** A broker outside of the cluster under a name inside, by the name that it has in a DNS. */
export function brokerByName(source: Source): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: metadataOf(source, source.text("broker.lookup")),
    spec: { type: "ExternalName", externalName: source.text("broker.host") },
  };
}

/** A broker outside of the cluster by its address: a Service without pods ... */
export function brokerService(source: Source): Service {
  const port = source.number("broker.port");
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: metadataOf(source, source.text("broker.lookup")),
    spec: { type: "ClusterIP", ports: [{ name: "broker", port, targetPort: port }] },
  };
}

/** ... and the address that stands for them. */
export function brokerEndpoint(source: Source): V1EndpointSlice & ApiObject {
  const metadata = metadataOf(source, source.text("broker.lookup"));
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      ...metadata,
      labels: {
        ...metadata.labels,
        "kubernetes.io/service-name": source.text("broker.lookup"),
        "endpointslice.kubernetes.io/managed-by": "cloister",
      },
    },
    addressType: source.text("broker.ipFamily"),
    endpoints: [{ addresses: [source.text("broker.ip")], conditions: { ready: true } }],
    ports: [{ name: "broker", port: source.number("broker.port"), protocol: "TCP" }],
  };
}
