import type { ModelReference } from "@cloister/encoding/tensor-proto";
import type { Servable } from "../engine/engine.ts";
import { callError } from "../errors.ts";

/** States of a version, as GetModelStatus names them. */
export type VersionState = "START" | "LOADING" | "AVAILABLE" | "UNLOADING" | "END";

/** What GetModelStatus tells about a version. */
export interface VersionStatus {
  readonly version: bigint;
  readonly state: VersionState;
  /** Why the version could not be loaded. */
  readonly error: Error | undefined;
}

/** A version that is held while a call uses it. Unloading waits for the release. */
export interface ServableHandle {
  readonly name: string;
  readonly version: bigint;
  readonly servable: Servable;
  release(): void;
}

interface Entry {
  readonly version: bigint;
  state: VersionState;
  error: Error | undefined;
  servable: Servable | undefined;
  users: number;
  /** Called when the last user is gone. */
  onIdle: (() => void) | undefined;
}

const NO_LABELS: ReadonlyMap<string, bigint> = new Map();

/** Every version that this server has ever known, and the way from START to END of each. */
export class ModelRegistry {
  readonly #models = new Map<string, Map<bigint, Entry>>();
  /** Labels of each model that is managed here. */
  readonly #labels = new Map<string, ReadonlyMap<string, bigint>>();

  /**
   * Loads a version. It can be looked up once it is AVAILABLE. A failed load ends in END with its error, which is thrown
   * too. An END version may be loaded again; any other is refused with ALREADY_EXISTS.
   */
  async load(name: string, version: bigint, load: () => Promise<Servable>): Promise<void> {
    const entry = this.#begin(name, version);
    try {
      entry.state = "LOADING";
      entry.servable = await load();
      entry.state = "AVAILABLE";
    } catch (error) {
      entry.state = "END";
      entry.error = error instanceof Error ? error : new Error("the load failed", { cause: error });
      throw error;
    }
  }

  /** Notes that a version is managed from now on, though its load has not begun. No effect on one that is known and not END. */
  announce(name: string, version: bigint): void {
    const before = this.#models.get(name)?.get(version);
    if (before === undefined || before.state === "END") this.#begin(name, version);
  }

  /** Takes a version that was announced and not loaded back to END. */
  withdraw(name: string, version: bigint): void {
    const entry = this.#models.get(name)?.get(version);
    if (entry?.state === "START") entry.state = "END";
  }

  /** Replaces the labels of a model. */
  setLabels(name: string, labels: ReadonlyMap<string, bigint>): void {
    this.#labels.set(name, labels);
  }

  labels(name: string): ReadonlyMap<string, bigint> {
    return this.#labels.get(name) ?? NO_LABELS;
  }

  has(name: string): boolean {
    return this.#models.has(name);
  }

  /** Versions that answer, in no order. */
  readyVersions(name: string): bigint[] {
    const entries = this.#models.get(name)?.values() ?? [];
    return [...entries].filter(({ state }) => state === "AVAILABLE").map(({ version }) => version);
  }

  /** The state of a version; `undefined` where it was never seen. */
  stateOf(name: string, version: bigint): VersionState | undefined {
    return this.#models.get(name)?.get(version)?.state;
  }

  /** Makes a version unreachable, waits for the calls that use it, and frees it. No effect on a version that is not AVAILABLE. */
  async unload(name: string, version: bigint): Promise<void> {
    const entry = this.#models.get(name)?.get(version);
    if (entry?.state !== "AVAILABLE") return;
    entry.state = "UNLOADING";
    if (entry.users > 0) {
      await new Promise<void>((resolve) => {
        entry.onIdle = resolve;
      });
    }
    await entry.servable?.close();
    entry.servable = undefined;
    entry.state = "END";
  }

  async unloadAll(): Promise<void> {
    const all = [...this.#models].flatMap(([name, entries]) =>
      [...entries.keys()].map((version) => ({ name, version })),
    );
    await Promise.all(all.map(({ name, version }) => this.unload(name, version)));
  }

  /** The version that a reference means: the named one, or the latest available. Throws as TensorFlow Serving does. */
  acquire(reference: ModelReference): ServableHandle {
    const { name, versionLabel } = reference;
    const version = versionLabel === undefined ? reference.version : this.labels(name).get(versionLabel);
    if (versionLabel !== undefined && version === undefined) {
      throw callError("INVALID_ARGUMENT", `Unrecognized servable version label: ${versionLabel}`);
    }
    const entry = version === undefined ? this.#latest(name) : this.#models.get(name)?.get(version);
    if (entry?.state !== "AVAILABLE" || entry.servable === undefined) {
      const wanted = version === undefined ? `Latest(${name})` : `Specific(${name}, ${version})`;
      throw callError("NOT_FOUND", `Servable not found for request: ${wanted}`);
    }
    return handleOf(name, entry, entry.servable);
  }

  /** All versions ever seen, or the one asked for, in descending order. Throws NOT_FOUND. */
  status(name: string, version?: bigint): VersionStatus[] {
    const entries = this.#models.get(name);
    if (entries === undefined) throw callError("NOT_FOUND", `Could not find any versions of model ${name}`);
    const wanted =
      version === undefined ? [...entries.values()] : [entries.get(version)].filter((e) => e !== undefined);
    if (wanted.length === 0) throw callError("NOT_FOUND", `Could not find version ${version} of model ${name}`);
    return wanted
      .toSorted((a, b) => (a.version < b.version ? 1 : -1))
      .map((e) => ({ version: e.version, state: e.state, error: e.error }));
  }

  /** Whether every model has a version that answers. */
  get isReady(): boolean {
    return this.#models.size > 0 && [...this.#models.keys()].every((name) => this.#latest(name) !== undefined);
  }

  #begin(name: string, version: bigint): Entry {
    const entries = this.#models.get(name) ?? new Map<bigint, Entry>();
    const before = entries.get(version);
    if (before !== undefined && before.state !== "END" && before.state !== "START") {
      throw callError("ALREADY_EXISTS", `Version ${version} of model ${name} is loaded already`);
    }
    const entry: Entry = {
      version,
      state: "START",
      error: undefined,
      servable: undefined,
      users: 0,
      onIdle: undefined,
    };
    this.#models.set(name, entries.set(version, entry));
    return entry;
  }

  #latest(name: string): Entry | undefined {
    let latest: Entry | undefined;
    for (const entry of this.#models.get(name)?.values() ?? []) {
      if (entry.state === "AVAILABLE" && (latest === undefined || entry.version > latest.version)) latest = entry;
    }
    return latest;
  }
}

function handleOf(name: string, entry: Entry, servable: Servable): ServableHandle {
  entry.users++;
  let isReleased = false;
  return {
    name,
    version: entry.version,
    servable,
    release: () => {
      if (isReleased) return;
      isReleased = true;
      entry.users--;
      if (entry.users === 0) entry.onIdle?.();
    },
  };
}
