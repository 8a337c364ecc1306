import type { V1PodSecurityContext, V1SecurityContext } from "@kubernetes/client-node";
import { USER_ID } from "./layout.ts";

/** What Pod Security's level `restricted` asks of a pod. */
export function restrictedPod(more: Pick<V1PodSecurityContext, "fsGroupChangePolicy"> = {}): V1PodSecurityContext {
  return {
    runAsNonRoot: true,
    runAsUser: USER_ID,
    runAsGroup: USER_ID,
    fsGroup: USER_ID,
    seccompProfile: { type: "RuntimeDefault" },
    ...more,
  };
}

/** What it asks of a container, and a root file system that nobody writes to. */
export function restrictedContainer(): V1SecurityContext {
  return {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  };
}
