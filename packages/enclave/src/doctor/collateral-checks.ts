import { explain } from "@cloister/attestation";
import type { StoredSet } from "@cloister/attestation/collateral-folder";
import type { HostFacts, ServiceFact, TcbFact } from "./facts.ts";
import { lacking, ok, warning, type Finding } from "./finding.ts";

const DAY_MS = 86_400_000;
/** Intel's documents live 30 days; a cache that works has more than a third of that left. */
const SOON_DAYS = 7;
const ACCEPTED_BY_DEFAULT = "UpToDate";

export function checkServices({ services }: HostFacts): Finding[] {
  return services.map(checkService);
}

/** Each stored set: does it verify, and how long is it good for. */
export function checkCollateral({ collateral, now }: HostFacts): Finding[] {
  return collateral.map((set) => checkSet(set, now));
}

export function checkTcb({ tcb }: HostFacts): Finding[] {
  return tcb === undefined ? [] : [tcbFinding(tcb)];
}

function checkService({ url, code, message, ms }: ServiceFact): Finding {
  if (code === null) return ok("collateral-service", `${url} answered in ${ms} ms`);
  return lacking("collateral-service", true, {
    found: `${url}: ${code}`,
    cause: message ?? "the service did not answer",
    remedy:
      "check address, TLS authority, proxy and firewall (PCCS listens on 8081); presets: intel, azure, alibaba, tencent, bytedance",
  });
}

function checkSet({ platform, path, items, code }: StoredSet, now: Date): Finding {
  const name = platform === undefined ? path : `${platform.tee} ${platform.fmspc} ${platform.pckCa}`;
  if (code !== null) {
    const { why, remedy } = explain(code);
    return lacking("collateral", true, { found: `${name}: ${code}`, cause: why, remedy });
  }
  const [first] = items.toSorted((a, b) => a.nextUpdate.getTime() - b.nextUpdate.getTime());
  if (first === undefined) return ok("collateral", name);
  const days = Math.floor((first.nextUpdate.getTime() - now.getTime()) / DAY_MS);
  const until = first.nextUpdate.toISOString().slice(0, 10);
  if (days >= SOON_DAYS) return ok("collateral", `${name}: good until ${until}`);
  return warning("collateral", {
    found: `${name}: ${first.name} ends on ${until}, in ${days} days`,
    cause: "it was not fetched again for weeks; after that day every quote of these platforms is refused",
    remedy: "cloister attest collateral fetch, and find out why the service gives nothing newer",
  });
}

function tcbFinding({ status, advisoryIds, tcbDate, code, remedy, simulated }: TcbFact): Finding {
  if (status === null || code !== null) {
    return lacking("tcb", true, {
      found: `evidence of this machine is refused: ${code ?? "no status"}`,
      cause: "the collateral does not vouch for it",
      remedy: remedy ?? "cloister attest verify shows every step",
    });
  }
  const date = tcbDate === undefined ? "" : `, TCB of ${tcbDate.toISOString().slice(0, 10)}`;
  const found = `${simulated ? "SIMULATED platform: " : ""}TCB ${status}${date}`;
  if (status === ACCEPTED_BY_DEFAULT) return ok("tcb", found);
  const advisories = advisoryIds.length > 0 ? ` (${advisoryIds.join(", ")})` : "";
  return warning("tcb", { found: `${found}${advisories}`, ...tcbAdvice(status) });
}

function tcbAdvice(status: string): { readonly cause: string; readonly remedy: string } {
  if (status.startsWith("OutOfDate")) {
    return {
      cause: "microcode, firmware or attestation software is older than Intel's last recovery",
      remedy:
        "update firmware and microcode, reboot, and get a new PCK certificate; a policy can allow the status by name",
    };
  }
  if (status.startsWith("Relaunch")) {
    return { cause: "the TDX module was updated after the TD started", remedy: "start the TD again" };
  }
  return {
    cause:
      "the platform is current, and Intel advises settings (for example hyper-threading off) or software mitigations",
    remedy:
      "read the advisories; then allow the status, with these advisories, in the policy: do not switch checks off",
  };
}
