/** Counters, gauges and histograms, and their text for Prometheus. */

/** One time series of a counter or gauge. */
export interface Value {
  add(amount: number): void;
  set(value: number): void;
  readonly value: number;
}

/** One time series of a histogram. */
export interface Distribution {
  observe(value: number): void;
  readonly count: number;
}

type Kind = "counter" | "gauge" | "histogram";

/** Label values come from the configuration and from requests for models that exist; more series than this are dropped. */
const MAX_SERIES = 10_000;

class Series implements Value, Distribution {
  value = 0;
  count = 0;
  readonly #bounds: readonly number[];
  readonly #buckets: number[];

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#buckets = bounds.map(() => 0);
  }

  add(amount: number): void {
    this.value += amount;
  }

  set(value: number): void {
    this.value = value;
  }

  observe(value: number): void {
    this.count++;
    this.value += value;
    const index = this.#bounds.findIndex((bound) => value <= bound);
    if (index >= 0) this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
  }

  /** Pairs of upper bound and cumulative count. */
  cumulative(): [string, number][] {
    let sum = 0;
    const rows = this.#bounds.map((bound, index): [string, number] => [
      String(bound),
      (sum += this.#buckets[index] ?? 0),
    ]);
    return [...rows, ["+Inf", this.count]];
  }
}

/** A metric with labels; `at` gives the time series of some label values, which the caller may keep. */
export class Family {
  readonly name: string;
  readonly kind: Kind;
  readonly #labels: readonly string[];
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, { readonly values: readonly string[]; readonly series: Series }>();

  constructor(name: string, kind: Kind, labels: readonly string[], bounds: readonly number[]) {
    this.name = name;
    this.kind = kind;
    this.#labels = labels;
    this.#bounds = bounds;
  }

  at(...values: readonly string[]): Value & Distribution {
    const key = values.length === 1 ? (values[0] ?? "") : values.join("\u0000");
    const known = this.#series.get(key);
    if (known !== undefined) return known.series;
    const series = new Series(this.#bounds);
    if (this.#series.size < MAX_SERIES) this.#series.set(key, { values, series });
    return series;
  }

  /** Sum over all series. */
  get total(): number {
    return [...this.#series.values()].reduce((sum, { series }) => sum + series.value, 0);
  }

  render(): string {
    const name = prometheusName(this.name);
    const lines = [`# TYPE ${name} ${this.kind}`];
    for (const { values, series } of this.#series.values()) {
      const labels = this.#labels.map((label, index) => [label, values[index] ?? ""] as const);
      if (this.kind !== "histogram") {
        lines.push(`${name}${labelText(labels)} ${series.value}`);
        continue;
      }
      for (const [bound, count] of series.cumulative()) {
        lines.push(`${name}_bucket${labelText([...labels, ["le", bound]])} ${count}`);
      }
      lines.push(
        `${name}_sum${labelText(labels)} ${series.value}`,
        `${name}_count${labelText(labels)} ${series.count}`,
      );
    }
    return `${lines.join("\n")}\n`;
  }
}

/** What the registry needs of a metric. */
interface Metric {
  readonly name: string;
  readonly total: number;
  render(): string;
}

export class MetricRegistry {
  readonly #families = new Map<string, Metric>();

  counter(name: string, ...labels: readonly string[]): Family {
    return this.#add(new Family(name, "counter", labels, []));
  }

  gauge(name: string, ...labels: readonly string[]): Family {
    return this.#add(new Family(name, "gauge", labels, []));
  }

  /** A counter without labels whose value is asked for when somebody looks. */
  computed(name: string, read: () => number): void {
    this.#add({
      name,
      get total() {
        return read();
      },
      render: () => `# TYPE ${prometheusName(name)} counter\n${prometheusName(name)} ${read()}\n`,
    });
  }

  histogram(name: string, bounds: readonly number[], ...labels: readonly string[]): Family {
    return this.#add(new Family(name, "histogram", labels, bounds));
  }

  /** The sum over all series of a counter or gauge, by its path-like name; `undefined` where there is none of that name. */
  total(name: string): number | undefined {
    return this.#families.get(name)?.total;
  }

  /** Prometheus' text format 0.0.4. */
  render(): string {
    return [...this.#families.values()].map((family) => family.render()).join("");
  }

  #add<T extends Metric>(family: T): T {
    this.#families.set(family.name, family);
    return family;
  }
}

/** TensorFlow Serving's rule: what is neither a letter, a digit nor `_` becomes a colon. */
function prometheusName(name: string): string {
  return name.replaceAll(/\W/g, ":");
}

function labelText(labels: readonly (readonly [string, string])[]): string {
  if (labels.length === 0) return "";
  const escape = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  return `{${labels.map(([name, value]) => `${name.replaceAll(/\W/g, "_")}="${escape(value)}"`).join(",")}}`;
}
