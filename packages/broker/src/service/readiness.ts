import { type BrokerEvent, tellsLogWritable } from "../monitoring/events.ts";

/** After this long without a decision the log is given another try: who is told "not ready" sends nothing that could tell. */
const RETRY_AFTER_MS = 30_000;

export interface Readiness {
  readonly ready: boolean;
  /** Why not, as codes. */
  readonly reasons: readonly string[];
}

/** Whether releases can be made, as far as events, the certificate and the log itself tell. */
export function createReadiness(clock: () => Date) {
  let failedAt: number | undefined;
  return {
    observe(event: BrokerEvent): void {
      const isWritable = tellsLogWritable(event);
      if (isWritable !== undefined) failedAt = isWritable ? undefined : clock().getTime();
    },
    now({ isCertified, isLogBroken = false }: { isCertified: boolean; isLogBroken?: boolean }): Readiness {
      const isLogRefusing = failedAt !== undefined && clock().getTime() - failedAt < RETRY_AFTER_MS;
      const reasons = [
        // No more tries: a broken log is only mended by opening it again.
        ...(isLogBroken ? ["LOG_BROKEN"] : []),
        ...(isLogRefusing && !isLogBroken ? ["LOG_UNAVAILABLE"] : []),
        ...(isCertified ? [] : ["BROKER_CERTIFICATE_EXPIRED"]),
      ];
      return { ready: reasons.length === 0, reasons };
    },
  };
}
