import type { V1ValidatingAdmissionPolicy, V1ValidatingAdmissionPolicyBinding } from "@kubernetes/client-node";
import { type ApiObject, clusterMetadataOf, MEASUREMENT_ANNOTATION } from "../api-object.ts";
import type { Source } from "../source.ts";

const policyName = (source: Source): string => `cloister-${source.text("namespace")}-${source.text("name")}`;

/**
 * Refuses replicas that drifted from what was rendered: a tag in place of a digest, no measurement, privileges. It is a guard
 * against mistakes. What keeps a changed replica from a key is the broker.
 */
export function admissionPolicy(source: Source): V1ValidatingAdmissionPolicy & ApiObject {
  const template = "object.spec.template";
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingAdmissionPolicy",
    metadata: clusterMetadataOf(source, policyName(source)),
    spec: {
      failurePolicy: "Fail",
      matchConstraints: {
        resourceRules: [
          { apiGroups: ["apps"], apiVersions: ["v1"], operations: ["CREATE", "UPDATE"], resources: ["deployments"] },
        ],
      },
      matchConditions: [
        {
          name: "is-replica",
          expression:
            "has(object.metadata.labels) && 'app.kubernetes.io/name' in object.metadata.labels && " +
            "object.metadata.labels['app.kubernetes.io/name'] == 'cloister-replica'",
        },
      ],
      validations: [
        {
          expression: `${template}.spec.containers.all(c, c.image.matches('@sha256:[0-9a-f]{64}$'))`,
          message: "images of replicas are named by digest",
        },
        {
          expression:
            `has(${template}.metadata.annotations) && '${MEASUREMENT_ANNOTATION}' in ${template}.metadata.annotations && ` +
            `${template}.metadata.annotations['${MEASUREMENT_ANNOTATION}'].matches('^[0-9a-f]{64}([0-9a-f]{32})?$')`,
          message: "replicas say which measurement the owner's policy has to allow",
        },
        {
          expression:
            `${template}.spec.containers.all(c, !has(c.securityContext) || !has(c.securityContext.privileged) || ` +
            `!c.securityContext.privileged)`,
          message: "replicas are not privileged: enclave devices come from a device plugin",
        },
        {
          expression:
            `!has(${template}.spec.volumes) || ` +
            `${template}.spec.volumes.all(v, !has(v.hostPath) || !v.hostPath.path.startsWith('/dev'))`,
          message: "devices are not mounted by path",
        },
      ],
    },
  };
}

export function admissionPolicyBinding(source: Source): V1ValidatingAdmissionPolicyBinding & ApiObject {
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingAdmissionPolicyBinding",
    metadata: clusterMetadataOf(source, policyName(source)),
    spec: {
      policyName: policyName(source),
      validationActions: ["Deny"],
      matchResources: {
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": source.text("namespace") } },
      },
    },
  };
}
