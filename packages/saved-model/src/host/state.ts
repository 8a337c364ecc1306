import type { Tensor } from "@cloister/encoding/tensor";
import { fromUtf8 } from "@cloister/encoding";
import type { ModelFiles } from "../model-files.ts";
import { HostTable } from "./table.ts";
import { refuse } from "./refusal.ts";

/** Folder of a SavedModel's assets; nothing outside it may be read while the model runs. */
const ASSETS = "assets/";

/** A source of random bytes. */
type RandomBytes = (count: number) => Uint8Array;

/** What a loaded model remembers between requests: variables that its signatures assign, and its tables. */
export class ModelState {
  readonly #variables: Map<string, Tensor>;
  readonly #tables = new Map<string, HostTable>();
  readonly #files: ModelFiles;
  /** Fresh random bytes, as many as asked for. */
  readonly random: RandomBytes;

  /** `variables` and `tables` are what there is to begin with, by `variableKey`. */
  constructor(
    variables: ReadonlyMap<string, Tensor>,
    files: ModelFiles,
    tables: ReadonlyMap<string, { readonly keys: Tensor; readonly values: Tensor }> = new Map(),
    random: RandomBytes = () => refuse("there is no source of random numbers"),
  ) {
    this.random = random;
    this.#variables = new Map(variables);
    for (const [key, { keys, values }] of tables) this.table(key).insert(keys, values, false);
    this.#files = files;
  }

  readVariable(key: string): Tensor {
    return this.#variables.get(key) ?? refuse("a variable has no value yet");
  }

  assign(key: string, value: Tensor): void {
    // The request's arrays go back to their owner: the state keeps its own.
    const { data } = value;
    this.#variables.set(key, {
      ...value,
      data: "buffer" in data ? data.slice() : data.map((bytes) => bytes.slice()),
    });
  }

  /** The table with that key; it is made, empty, when it is first asked for. */
  table(key: string): HostTable {
    const table = this.#tables.get(key) ?? new HostTable();
    this.#tables.set(key, table);
    return table;
  }

  /** Content of the asset that a file name tensor names. */
  asset(name: Uint8Array): Uint8Array {
    const path = fromUtf8(name) ?? "";
    const file = path.startsWith(ASSETS) ? this.#files.get(path) : undefined;
    return file ?? refuse("an asset file is missing");
  }
}
