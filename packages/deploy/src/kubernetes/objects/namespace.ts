import type { V1Namespace, V1ServiceAccount } from "@kubernetes/client-node";
import { type ApiObject, clusterMetadataOf, commonLabels, metadataOf } from "../api-object.ts";
import type { Source } from "../source.ts";

/** The namespace. Pod Security refuses privileged pods and host paths in it, unless the model lies on the nodes' own disks. */
export function namespace(source: Source): V1Namespace & ApiObject {
  const level = source.text("podSecurity");
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      ...clusterMetadataOf(source, source.text("namespace")),
      labels: {
        ...commonLabels(source),
        "pod-security.kubernetes.io/enforce": level,
        "pod-security.kubernetes.io/audit": level,
        "pod-security.kubernetes.io/warn": level,
      },
    },
  };
}

/** Replicas' own account. They never speak to the API server: no token is mounted. */
export function serviceAccount(source: Source): V1ServiceAccount & ApiObject {
  return {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: metadataOf(source, source.text("name")),
    automountServiceAccountToken: false,
  };
}
