import type { BrokerEvent } from "./events.ts";

/** Upper bounds of the release histogram, seconds. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Label values come from a policy's author or from closed lists of codes; more series than this means something is wrong. */
const MAX_SERIES = 10_000;

export interface Metrics {
  /** Give this every event (`onEvent`). */
  observe(event: BrokerEvent): void;
  /** Prometheus text exposition format, version 0.0.4. */
  render(): string;
}

type Labels = Readonly<Record<string, string>>;

/** Counts events. Holds numbers and labels only, never anything of a peer but codes. */
export function createMetrics(): Metrics {
  const counters = new Map<string, number>();
  const buckets = BUCKETS.map(() => 0);
  let [sumSeconds, count] = [0, 0];

  const add = (name: string, labels: Labels): void => {
    const series = `cloister_broker_${name}_total${render(labels)}`;
    if (counters.has(series) || counters.size < MAX_SERIES) counters.set(series, (counters.get(series) ?? 0) + 1);
  };
  const time = (seconds: number): void => {
    sumSeconds += seconds;
    count += 1;
    for (const [i, bound] of BUCKETS.entries()) if (seconds <= bound) buckets[i] = (buckets[i] ?? 0) + 1;
  };

  return {
    observe(event) {
      switch (event.type) {
        case "release":
          add("releases", { workload: event.workload, simulated: String(event.simulated) });
          time(event.milliseconds / 1000);
          break;
        case "refusal":
          add("refusals", { code: event.code, simulated: String(event.simulated) });
          break;
        case "connection":
          add("connections_ended", { code: event.code });
          break;
        case "alarm":
          add("alarms", { code: event.code });
          break;
        case "policy":
          add("policy_changes", {});
          break;
        case "collateral":
          add("collateral", { outcome: event.outcome, code: event.code ?? "" });
          break;
        case "certificate":
          add("certificate_renewals", {});
          break;
      }
    },
    render() {
      const name = "cloister_broker_release_seconds";
      const histogram = BUCKETS.map((bound, i) => `${name}_bucket{le="${bound}"} ${buckets[i] ?? 0}`);
      return [
        ...counterLines(counters),
        `# TYPE ${name} histogram`,
        ...histogram,
        `${name}_bucket{le="+Inf"} ${count}`,
        `${name}_sum ${sumSeconds}`,
        `${name}_count ${count}`,
        "",
      ].join("\n");
    },
  };
}

/** Each name's type before its series. */
function counterLines(counters: ReadonlyMap<string, number>): string[] {
  const lines: string[] = [];
  let last: string | undefined;
  for (const [series, value] of [...counters].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const [name] = series.split("{", 1);
    if (name !== last) lines.push(`# TYPE ${name} counter`);
    lines.push(`${series} ${value}`);
    last = name;
  }
  return lines;
}

function render(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value.replaceAll(/["\\\n]/g, "_")}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
