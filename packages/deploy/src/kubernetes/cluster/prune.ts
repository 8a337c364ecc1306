import type { ClusterApi } from "./api.ts";
import { FIELD_MANAGER } from "./apply.ts";
import { deleteOwned, findOwned, type OwnedObject, PLACES } from "./owned.ts";
import type { DeploymentName } from "./pods.ts";

const STORAGE: ReadonlySet<string> = new Set(["/api/v1/persistentvolumeclaims", "/api/v1/persistentvolumes"]);
/** A Secret is given to `apply` for one call and never rendered: that it is not rendered says nothing. */
const NEVER = "/api/v1/secrets";
const NAMESPACES = "/api/v1/namespaces";

export interface PruneOptions {
  readonly api: ClusterApi;
  readonly deployment: DeploymentName;
  /** Paths of everything that is rendered now. */
  readonly rendered: ReadonlySet<string>;
  /** Volumes and claims too: what is in them is lost. */
  readonly storage: boolean;
}

/**
 * What earlier settings left in the cluster: it carries the deployment's labels, was applied by us, and is rendered no more. In the
 * order in which it goes. Never a Secret, nor the namespace of the deployment itself.
 */
export async function findStale({ api, deployment, rendered, storage }: PruneOptions): Promise<OwnedObject[]> {
  const stale: OwnedObject[] = [];
  for (const place of PLACES) {
    if (place === NEVER || (!storage && STORAGE.has(place))) continue;
    const found = await findOwned(api, place, deployment);
    stale.push(
      ...found.filter(
        ({ path, name, appliedBy }) =>
          appliedBy.includes(FIELD_MANAGER) &&
          !rendered.has(path) &&
          !(place === NAMESPACES && name === deployment.namespace),
      ),
    );
  }
  return stale;
}

/** Deletes what `findStale` found. What each of them holds goes in the background. */
export async function pruneObjects(api: ClusterApi, stale: readonly OwnedObject[]): Promise<void> {
  for (const object of stale) await deleteOwned(api, object);
}
