import { describeObject } from "../api-object.ts";
import { DeployError } from "../../errors.ts";
import type { RenderedObject } from "../objects.ts";
import { jsonPatch, type PatchStep } from "../render/json-patch.ts";
import type { ClusterApi } from "./api.ts";
import { ResourcePaths } from "./resource-paths.ts";

/** Under this name the API server remembers which fields are ours. */
export const FIELD_MANAGER = "cloister";
/** Fields that the server writes at each change. */
const SERVER_FIELDS = new Set(["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"]);

export interface ObjectChange {
  readonly object: string;
  readonly path: string;
  readonly change: "created" | "changed" | "unchanged";
  /** What differs from the object in the cluster, after the server's defaults; empty for a new object. */
  readonly steps: readonly PatchStep[];
}

export interface ApplyOptions {
  readonly api: ClusterApi;
  readonly objects: readonly RenderedObject[];
  /** Tells what would change, and changes nothing. */
  readonly dryRun: boolean;
  /** Takes over fields that somebody else owns. */
  readonly force: boolean;
  readonly onChange: (change: ObjectChange) => void;
}

type LiveObject = Readonly<Record<string, unknown>>;

/**
 * Brings the cluster to what the objects say, by server-side apply: what is equal already stays untouched. With `dryRun` the
 * server says what would change. Throws `CLUSTER_CONFLICT`, `CLUSTER_REFUSED`, `CLUSTER_OBJECT_MISSING`, `CLUSTER_UNREACHABLE`.
 */
export async function applyObjects(options: ApplyOptions): Promise<ObjectChange[]> {
  const { api, objects, dryRun, onChange } = options;
  const paths = new ResourcePaths(api);
  const changes: ObjectChange[] = [];
  for (const { object } of objects) {
    const path = await paths.of(object);
    const before = await api.find<LiveObject>(path);
    const after = await applyOne(options, path, object, before === undefined && dryRun);
    const change: ObjectChange = {
      object: describeObject(object),
      path,
      change: before === undefined ? "created" : "unchanged",
      steps: before === undefined || after === undefined ? [] : jsonPatch(comparable(before), comparable(after)),
    };
    const told = change.steps.length > 0 ? { ...change, change: "changed" as const } : change;
    changes.push(told);
    onChange(told);
  }
  return changes;
}

/** The object as the server has it then. A dry run of an object whose namespace does not exist yet cannot be answered. */
async function applyOne(
  { api, dryRun, force }: ApplyOptions,
  path: string,
  body: object,
  mayLackNamespace: boolean,
): Promise<LiveObject | undefined> {
  try {
    return await api.call<LiveObject>({
      method: "PATCH",
      path,
      query: {
        fieldManager: FIELD_MANAGER,
        fieldValidation: "Strict",
        force: String(force),
        ...(dryRun && { dryRun: "All" }),
      },
      contentType: "application/apply-patch+yaml",
      body,
    });
  } catch (error) {
    if (mayLackNamespace && error instanceof DeployError && error.code === "CLUSTER_OBJECT_MISSING") return undefined;
    throw error;
  }
}

function comparable(object: LiveObject): object {
  const { metadata, status: _status, ...rest } = object;
  const kept = Object.entries(metadata as object).filter(([key]) => !SERVER_FIELDS.has(key));
  return { ...rest, metadata: Object.fromEntries(kept) };
}
