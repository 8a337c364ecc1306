import { setTimeout as sleep } from "node:timers/promises";
import { DeployError } from "../../errors.ts";
import type { ClusterApi } from "./api.ts";
import { deleteOwned, findOwned, type OwnedObject, PLACES } from "./owned.ts";
import type { DeploymentName } from "./pods.ts";

const PERIOD_MS = 300;

export interface DeleteOptions {
  readonly api: ClusterApi;
  readonly deployment: DeploymentName;
  readonly timeoutMs: number;
  readonly onDeleted: (path: string) => void;
}

/**
 * Deletes every object of a deployment, wherever it is, found by labels: also what earlier settings made. Secrets that `apply`
 * made are among them, and the namespace where it was made by us. Resolves when all are gone; doing it again does nothing.
 * Throws `DELETE_TIMEOUT`.
 */
export async function deleteDeployment(options: DeleteOptions): Promise<number> {
  const endsAt = Date.now() + options.timeoutMs;
  let count = 0;
  for (const place of PLACES) {
    const found = await findOwned(options.api, place, options.deployment);
    for (const object of found) {
      await deleteOwned(options.api, object);
      count += 1;
    }
    for (const object of found) {
      await waitUntilGone(options, object, endsAt);
      options.onDeleted(object.path);
    }
  }
  return count;
}

async function waitUntilGone(options: DeleteOptions, { path, uid }: OwnedObject, endsAt: number): Promise<void> {
  for (;;) {
    const live = await options.api.find<{ metadata: { uid: string } }>(path);
    if (live?.metadata.uid !== uid) return;
    if (Date.now() > endsAt) {
      throw new DeployError("DELETE_TIMEOUT", {
        what: `${path} is still there`,
        why: `it did not go within ${Math.round(options.timeoutMs / 1000)} s`,
        remedy: "see what holds it (finalizers, volumes in use) and delete again",
      });
    }
    await sleep(PERIOD_MS);
  }
}
