import { DeployError } from "../../errors.ts";
import type { ApiObject } from "../api-object.ts";
import type { ClusterApi } from "./api.ts";

interface Resource {
  readonly name: string;
  readonly namespaced: boolean;
  readonly kind: string;
}

/** Where kinds of objects are in a cluster's API. What a cluster serves is asked for once. */
export class ResourcePaths {
  readonly #api: ClusterApi;
  readonly #versions = new Map<string, Promise<readonly Resource[]>>();

  constructor(api: ClusterApi) {
    this.#api = api;
  }

  /** The path of an object. Throws `CLUSTER_OBJECT_MISSING` where the cluster does not know its kind. */
  async of({ apiVersion, kind, metadata: { name, namespace } }: ApiObject): Promise<string> {
    const resource = (await this.#resources(apiVersion)).find((it) => it.kind === kind && !it.name.includes("/"));
    if (resource === undefined) throw unknownKind(apiVersion, kind);
    const scope = resource.namespaced ? `/namespaces/${namespace ?? "default"}` : "";
    return `${rootOf(apiVersion)}${scope}/${resource.name}/${name}`;
  }

  #resources(apiVersion: string): Promise<readonly Resource[]> {
    let found = this.#versions.get(apiVersion);
    if (found === undefined) {
      found = this.#api
        .find<{ resources: Resource[] }>(rootOf(apiVersion))
        .then((list) => (list === undefined ? [] : list.resources));
      this.#versions.set(apiVersion, found);
    }
    return found;
  }
}

const rootOf = (apiVersion: string): string =>
  apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;

function unknownKind(apiVersion: string, kind: string): DeployError {
  return new DeployError("CLUSTER_OBJECT_MISSING", {
    what: `the cluster knows no ${kind} of ${apiVersion}`,
    why: "its definition is not installed",
    remedy: "install it (the Gateway API's CRDs, KEDA), or choose another gateway or autoscaling in the settings",
  });
}
