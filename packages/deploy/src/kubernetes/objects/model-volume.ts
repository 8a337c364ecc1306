import type { V1Container, V1PersistentVolume, V1PersistentVolumeClaim, V1Volume } from "@kubernetes/client-node";
import { type ApiObject, clusterMetadataOf, metadataOf } from "../api-object.ts";
import type { Source } from "../source.ts";
import { MODELS_FOLDER, NODE_EXECUTABLE, PROGRAM_FOLDER } from "./layout.ts";
import { restrictedContainer } from "./security.ts";

const kind = (...is: string[]) => ({ path: "modelDelivery.kind", is });

/** The sealed model's volume, read-only in every form but the one that an init container fills. What is in it is ciphertext. */
export function modelVolume(source: Source): V1Volume[] {
  return [
    source.when(kind("claim"), {
      name: "models",
      persistentVolumeClaim: { claimName: source.text("modelDelivery.claim"), readOnly: true },
    }),
    source.when(kind("azure-files"), {
      name: "models",
      persistentVolumeClaim: { claimName: shareName(source), readOnly: true },
    }),
    source.when(kind("host-path"), {
      name: "models",
      hostPath: { path: source.text("modelDelivery.path"), type: "Directory" },
    }),
    source.when(kind("object-store"), { name: "models", emptyDir: {} }),
  ];
}

/** Fetches the sealed files before the replica starts. It needs no trust: what it brings is verified file by file. */
export function fetchModel(source: Source): V1Container {
  return {
    name: "fetch-model",
    image: source.text("image"),
    imagePullPolicy: source.text("imagePullPolicy"),
    command: [
      NODE_EXECUTABLE,
      `${PROGRAM_FOLDER}/packages/enclave/src/delivery/main.ts`,
      source.text("modelDelivery.url"),
      `${MODELS_FOLDER}/${source.text("model.name")}/${source.text("model.version")}`,
    ],
    resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "256Mi" } },
    securityContext: restrictedContainer(),
    volumeMounts: [{ name: "models", mountPath: MODELS_FOLDER }],
  };
}

/** An Azure file share as a volume, mounted read-only, opened with a Secret that is named and never rendered. */
export function azureVolume(source: Source): V1PersistentVolume & ApiObject {
  return {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: clusterMetadataOf(source, shareName(source)),
    spec: {
      capacity: { storage: "1Gi" },
      accessModes: ["ReadOnlyMany"],
      persistentVolumeReclaimPolicy: "Retain",
      storageClassName: "",
      mountOptions: ["dir_mode=0555", "file_mode=0444", "uid=65532", "gid=65532", "nosharesock", "ro"],
      csi: {
        driver: "file.csi.azure.com",
        readOnly: true,
        volumeHandle: `${source.text("namespace")}-${source.text("name")}-${source.text("modelDelivery.share")}`,
        volumeAttributes: { shareName: source.text("modelDelivery.share") },
        nodeStageSecretRef: { name: source.text("modelDelivery.secret"), namespace: source.text("namespace") },
      },
    },
  };
}

export function azureClaim(source: Source): V1PersistentVolumeClaim & ApiObject {
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: metadataOf(source, shareName(source)),
    spec: {
      accessModes: ["ReadOnlyMany"],
      storageClassName: "",
      volumeName: shareName(source),
      resources: { requests: { storage: "1Gi" } },
    },
  };
}

const shareName = (source: Source): string => `${source.text("namespace")}-${source.text("name")}-models`;
