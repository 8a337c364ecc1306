import { readFileSync } from "node:fs";
import { registerHooks, stripTypeScriptTypes } from "node:module";
import { fileURLToPath } from "node:url";
import { COUNTERS, instrument } from "./instrument.ts";

const MAX_COUNTERS = 1 << 16;
/** What is fuzzed; everything else runs as it is. */
const FUZZED = /\/packages\/(?:encoding|attestation)\/src\/(?!gen\/)[^?]+\.ts$/;

/** Hit counts come in classes: one more turn of a long loop is no news, the second turn is. */
const CLASS_OF_COUNT = Uint8Array.from({ length: 256 }, (_, count) => {
  return count === 0 ? 0 : count < 4 ? 1 << (count - 1) : 1 << Math.min(7, Math.floor(Math.log2(count)) + 1);
});

/** Which edges of the instrumented modules were taken, and in which classes of hit counts. */
export class Coverage {
  readonly #counters = new Uint8Array(MAX_COUNTERS);
  readonly #seen = new Uint8Array(MAX_COUNTERS);
  readonly #literals = new Set<string | number>();
  #used = 0;

  /** From here on, modules are instrumented when they are loaded. */
  install(): void {
    Object.assign(globalThis, { [COUNTERS]: this.#counters });
    registerHooks({
      load: (url, context, next) => {
        if (!FUZZED.test(url)) return next(url, context);
        return { format: "module", shortCircuit: true, source: this.#instrumented(url) };
      },
    });
  }

  /** Strings and numbers of the instrumented modules. */
  get literals(): ReadonlySet<string | number> {
    return this.#literals;
  }

  /** Edges there are. */
  get edges(): number {
    return this.#used;
  }

  /** Edges that were taken since `forget`. */
  get taken(): number {
    return this.#seen.subarray(0, this.#used).reduce((sum, classes) => sum + (classes === 0 ? 0 : 1), 0);
  }

  /** Before a run. */
  reset(): void {
    this.#counters.fill(0, 0, this.#used);
  }

  /** After a run: whether it took an edge, or as often, as no run before. */
  isNew(): boolean {
    let isNew = false;
    for (let index = 0; index < this.#used; index += 1) {
      const found = CLASS_OF_COUNT[this.#counters[index] ?? 0] ?? 0;
      const seen = this.#seen[index] ?? 0;
      if ((found & ~seen) === 0) continue;
      this.#seen[index] = seen | found;
      isNew = true;
    }
    return isNew;
  }

  /** Begins anew, for another target. */
  forget(): void {
    this.#seen.fill(0);
  }

  #instrumented(url: string): string {
    const javascript = stripTypeScriptTypes(readFileSync(fileURLToPath(url), "utf8"));
    const { source, nextCounter, literals } = instrument(javascript, this.#used);
    if (nextCounter > MAX_COUNTERS) throw new RangeError("more edges than counters");
    this.#used = nextCounter;
    for (const literal of literals) this.#literals.add(literal);
    return source;
  }
}
