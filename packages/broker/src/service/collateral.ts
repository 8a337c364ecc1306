import type { Collateral } from "@cloister/attestation";
import {
  type CollateralEvent,
  type CollateralSource,
  type CollateralSourceOptions,
  createCollateralSource,
} from "@cloister/attestation/collateral-source";
import type { BrokerEvent } from "../monitoring/events.ts";

/** Where collateral comes from, and how patiently it is asked for. */
export type CollateralSettings = Pick<
  CollateralSourceOptions,
  "service" | "update" | "retries" | "pauseMs" | "maxAgeMs" | "negativeMs"
>;

export interface ServiceCollateral {
  readonly collateral: (quote: Uint8Array) => Promise<Collateral>;
  /** Prometheus lines: until when each kept set is good. */
  readonly gauges: () => string;
  readonly stop: () => Promise<void>;
}

/** How often it is looked whether a set is due. */
const CHECK_EVERY_MS = 60_000;

/**
 * Collateral for a broker: kept, also beyond a restart (`folder`), and fetched again in the background before it expires, so
 * that no release waits for it but the first of a kind of platform.
 */
export function keepCollateral(
  settings: CollateralSettings,
  options: Pick<CollateralSourceOptions, "anchors" | "clock"> & {
    readonly folder: string;
    readonly onEvent: (event: BrokerEvent) => void;
    readonly checkEveryMs?: number;
  },
): ServiceCollateral {
  const { anchors, clock, folder, onEvent, checkEveryMs = CHECK_EVERY_MS } = options;
  const source = createCollateralSource({
    ...settings,
    anchors,
    clock,
    // What comes from files lies on the disk already.
    ...(settings.service.kind !== "file" && { folder }),
    onEvent: (event) => tell(event, clock(), onEvent),
  });
  const timer = setInterval(() => void source.refreshDue(), checkEveryMs);
  timer.unref();
  return {
    collateral: source,
    gauges: () => gaugesOf(source),
    async stop() {
      clearInterval(timer);
      await source.settled();
    },
  };
}

/** An older item than one that was taken before is an alarm: the service is out of date, or somebody holds revocations back. */
function tell({ kind, platform, code }: CollateralEvent, at: Date, onEvent: (event: BrokerEvent) => void): void {
  const time = at.toISOString();
  const { tee, fmspc, pckCa } = platform;
  onEvent({ type: "collateral", time, outcome: kind, tee, fmspc, pckCa, code: code ?? null });
  if (code !== "COLLATERAL_ROLLED_BACK") return;
  onEvent({ type: "alarm", time, code, reason: `collateral for ${tee} ${fmspc} is older than what was taken before` });
}

function gaugesOf(source: CollateralSource): string {
  const name = "cloister_broker_collateral_expiry_seconds";
  const lines = source.kept().map(({ platform: { tee, fmspc, pckCa }, earliestExpiry }) => {
    return `${name}{tee="${tee}",fmspc="${fmspc}",pck_ca="${pckCa}"} ${Math.floor(earliestExpiry.getTime() / 1000)}\n`;
  });
  return `# TYPE ${name} gauge\n${lines.join("")}`;
}
