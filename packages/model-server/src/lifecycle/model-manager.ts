import type { ModelFiles } from "@cloister/saved-model";
import type { Servable } from "../engine/engine.ts";
import { callError } from "../errors.ts";
import type { ModelRegistry } from "../serving/registry.ts";
import { type ModelSource, withoutQuery } from "../sources/model-source.ts";
import { AspiredModel, type Candidate, type LifecycleEvent, type LoadRetries } from "./aspired-model.ts";
import { chooseVersions, type ServedModel } from "./model-config.ts";

/** A version whose files are in memory already, for example opened from a sealed bundle. */
export interface VersionInMemory {
  readonly name: string;
  readonly version: bigint;
  readonly files: ModelFiles;
}

export interface ModelManagerOptions {
  readonly registry: ModelRegistry;
  readonly source: ModelSource;
  /** Turns files into something that answers, warm-up included. `path` names the version in metrics. */
  readonly load: (model: string, version: bigint, files: ModelFiles, path: string) => Promise<Servable>;
  readonly retries: LoadRetries;
  /** Pause between two looks at the base paths; 0: only when a configuration is applied. */
  readonly pollMs: number;
  /** Labels that nobody uses yet may name versions that are not loaded. */
  readonly allowLabelsForUnavailable: boolean;
  readonly report: (event: LifecycleEvent) => void;
}

const ONE_ATTEMPT: LoadRetries = { maxRetries: 0, intervalMs: 0 };

/** Keeps the models of a configuration loaded, and follows what appears and disappears in their folders. */
export class ModelManager {
  readonly #options: ModelManagerOptions;
  readonly #models = new Map<string, AspiredModel>();
  #served: readonly ServedModel[] = [];
  #timer: NodeJS.Timeout | undefined;
  #polling: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: ModelManagerOptions) {
    this.#options = options;
    if (options.pollMs > 0) this.#schedule();
  }

  /** Serves versions from memory. Resolves when all answer; throws UNKNOWN naming those that do not. */
  async serveFromMemory(versions: readonly VersionInMemory[]): Promise<void> {
    const byName = Map.groupBy(versions, ({ name }) => name);
    for (const [name, ofModel] of byName) {
      this.#model(name, ONE_ATTEMPT).aspire(ofModel.map((version) => this.#fromMemory(version)));
    }
    await this.#decided(byName.keys());
  }

  /**
   * Replaces the configuration: models that are not in it are unloaded, new ones loaded. Resolves when each model answers
   * or has failed. Throws INVALID_ARGUMENT or FAILED_PRECONDITION where nothing was changed, UNKNOWN naming what failed.
   */
  async apply(served: readonly ServedModel[]): Promise<void> {
    for (const model of served) this.#checkLabels(model);
    const names = new Set(served.map(({ name }) => name));
    const gone = this.#served.filter(({ name }) => !names.has(name));
    this.#served = served;
    for (const { name } of gone) {
      this.#options.registry.setLabels(name, new Map());
      this.#model(name).aspire([]);
    }
    for (const { name, labels } of served) this.#options.registry.setLabels(name, labels);
    await this.poll();
    await this.#decided(names);
  }

  /** Looks at every base path once. */
  poll(): Promise<void> {
    const looked = this.#polling.then(async () => {
      for (const model of this.#served) await this.#follow(model);
    });
    // Whoever asked hears of an error; the next look begins all the same.
    this.#polling = looked.catch(() => undefined);
    return looked;
  }

  /** Stops polling and retrying. What is loaded stays. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  /** The memory is given up after the load: files are not kept beside what was made of them. */
  #fromMemory({ name, version, files }: VersionInMemory): Candidate {
    let held: ModelFiles | undefined = files;
    const load = (): Promise<Servable> => {
      const taken = held ?? new Map<string, Uint8Array>();
      held = undefined;
      return this.#options.load(name, version, taken, `${name}/${version}`);
    };
    return { version, load };
  }

  async #follow({ name, basePath, policy }: ServedModel): Promise<void> {
    const { source, report } = this.#options;
    const present = await source.listVersions(basePath);
    // A base path that is away may come back (a mount): what is loaded stays. An empty one means that nothing is wanted.
    if (this.#isClosed) return;
    if (present === undefined) {
      report({ event: "base_path_missing", model: name, path: withoutQuery(basePath) });
      this.#model(name);
      return;
    }
    if (present.size === 0) report({ event: "no_versions", model: name, path: withoutQuery(basePath) });
    const named = policy.kind === "specific" ? policy.versions : [];
    for (const version of named) if (!present.has(version)) report({ event: "version_missing", model: name, version });
    this.#model(name).aspire(
      chooseVersions(present.keys(), policy).map((version) => {
        const place = present.get(version) ?? "";
        const load = async (): Promise<Servable> =>
          this.#options.load(name, version, await source.readVersion(place), withoutQuery(place));
        return { version, load };
      }),
    );
  }

  #checkLabels({ name, labels }: ServedModel): void {
    const { registry, allowLabelsForUnavailable } = this.#options;
    const before = registry.labels(name);
    for (const [label, version] of labels) {
      const isNew = before.get(label) === undefined || before.get(label) === version;
      if (registry.stateOf(name, version) === "AVAILABLE" || (allowLabelsForUnavailable && isNew)) continue;
      throw callError(
        "FAILED_PRECONDITION",
        `Request to assign label to version ${version} of model ${name}, which is not currently available for inference`,
      );
    }
  }

  async #decided(names: Iterable<string>): Promise<void> {
    const models = [...names].map((name) => this.#model(name));
    const decisions = await Promise.all(models.map(async (model) => ({ model, failed: await model.decided() })));
    const failures = decisions.flatMap(({ model, failed }) =>
      this.#isServedAnyway(model.name)
        ? []
        : [...failed].map(([version, error]) => ({ text: `{name: ${model.name} version: ${version}}`, error })),
    );
    if (failures.length === 0) return;
    const listed = failures.map(({ text }) => text).join(", ");
    throw callError("UNKNOWN", `${failures.length} servable(s) did not become available: {${listed}}`, {
      cause: failures[0]?.error,
    });
  }

  /** Of the latest versions one that answers is enough; of all or specific ones each has to. */
  #isServedAnyway(name: string): boolean {
    const policy = this.#served.find((model) => model.name === name)?.policy;
    return policy?.kind === "latest" && this.#options.registry.readyVersions(name).length > 0;
  }

  #model(name: string, retries = this.#options.retries): AspiredModel {
    const known = this.#models.get(name);
    if (known !== undefined) return known;
    const { registry, report } = this.#options;
    const model = new AspiredModel(name, registry, retries, report);
    this.#models.set(name, model);
    return model;
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      this.poll()
        .finally(() => {
          if (!this.#isClosed) this.#schedule();
        })
        .catch(() => undefined);
    }, this.#options.pollMs).unref();
  }
}
