import type { Denial } from "./decision.ts";
import type { PlatformRule, ServiceRule } from "./policy.ts";
import type { PolicyClaims } from "./policy-claims.ts";

/** Whether an attestation service vouches, in place of the broker's own verification. */
export function isServiceRule(platform: PlatformRule): platform is ServiceRule {
  return platform.kind === "maa" || platform.kind === "simulated-maa";
}

export function isSimulatedRule({ kind }: PlatformRule): boolean {
  return kind === "simulated" || kind === "simulated-maa";
}

/** A denial unless the claims stand under one of the platforms. */
export function checkPlatform(platforms: readonly PlatformRule[], claims: PolicyClaims, rule: string): Denial[] {
  if (platforms.some((platform) => isUnder(platform, claims))) return [];
  const isSimulatedAllowed = platforms.some(isSimulatedRule);
  return [
    {
      code: claims.simulated && !isSimulatedAllowed ? "SIMULATED_NOT_ALLOWED" : "ANCHOR_NOT_ALLOWED",
      rule,
      claim: claims.service === null ? "anchorSha256" : "service",
      expected: platforms.map(platformText).join(", "),
      got: claimedText(claims),
    },
  ];
}

function isUnder(platform: PlatformRule, { simulated, service, anchorSha256 }: PolicyClaims): boolean {
  if (simulated !== isSimulatedRule(platform)) return false;
  if (isServiceRule(platform)) return service === platform.url;
  return service === null && (platform.kind === "intel" || platform.anchorSha256 === anchorSha256);
}

function platformText(platform: PlatformRule): string {
  if (platform.kind === "intel") return "intel";
  return `${platform.kind} ${platform.kind === "simulated" ? platform.anchorSha256 : platform.url}`;
}

function claimedText({ simulated, service, anchorSha256 }: PolicyClaims): string {
  if (service !== null) return `${simulated ? "simulated-maa" : "maa"} ${service}`;
  return `${simulated ? "simulated" : "intel"} ${anchorSha256}`;
}
