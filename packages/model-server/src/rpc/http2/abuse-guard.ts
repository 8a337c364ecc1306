import { Http2Error } from "@cloister/encoding/http2";
import { RateLimit } from "./rate-limit.ts";

/** Cancelled streams, and those that end in an error, at once and a second (rapid reset, CVE-2023-44487; CVE-2025-8671). */
const RESETS = { burst: 1000, perSecond: 50 };
/** Frames that carry nothing of a call: PING, SETTINGS, PRIORITY, empty DATA and those of unknown types. (CVE-2019-9512 ff.) */
const IDLE_FRAMES = { burst: 2000, perSecond: 200 };
/** grpc-go measures the round trip with a PING for each answer. */
const IDLE_FRAMES_PER_CALL = 4;

/** Counts what costs us more than it costs the peer. Throws ENHANCE_YOUR_CALM where it is more than an honest client needs. */
export class AbuseGuard {
  readonly #resets = new RateLimit(RESETS.burst, RESETS.perSecond);
  readonly #idleFrames = new RateLimit(IDLE_FRAMES.burst, IDLE_FRAMES.perSecond);

  countReset(): void {
    if (!this.#resets.take()) throw new Http2Error("ENHANCE_YOUR_CALM", "too many streams are given up");
  }

  countIdleFrame(): void {
    // gRPC's clients know this text, and ping less often when they connect again.
    if (!this.#idleFrames.take()) throw new Http2Error("ENHANCE_YOUR_CALM", "too_many_pings");
  }

  /** A call began, which may have some such frames with it. */
  countCall(): void {
    this.#idleFrames.give(IDLE_FRAMES_PER_CALL);
  }
}
