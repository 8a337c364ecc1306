import type { HostFacts, NginxFact, Purpose } from "./facts.ts";
import { lacking, ok, warning, type Finding } from "./finding.ts";

/** The oldest Node.js that runs the sources as they are. */
const NODE = { major: 22, minor: 18 };
/** When this version was made: a clock before it is wrong, and would take expired evidence for valid. */
const RELEASED = new Date("2026-11-01T00:00:00Z");
const MAX_SKEW_MS = 5 * 60_000;
const DAY_MS = 86_400_000;

export function checkNode({ nodeVersion }: HostFacts): Finding {
  const [, major = 0, minor = 0] = (/^v(\d+)\.(\d+)\./.exec(nodeVersion) ?? []).map(Number);
  const isEnough = major > NODE.major || (major === NODE.major && minor >= NODE.minor);
  if (isEnough) return ok("node", `Node.js ${nodeVersion}`);
  return lacking("node", true, {
    found: `Node.js ${nodeVersion}`,
    cause: `the sources run from Node.js ${NODE.major}.${NODE.minor} on`,
    remedy: "run `npm ci`, which brings a Node.js along, or install a newer one",
  });
}

/** Both ciphers write and read the same files; without koffi it takes several times as long. */
export function checkCipher({ cipher: { name, reason = "" } }: HostFacts): Finding {
  if (name === "openssl") return ok("cipher", "sealed files by OpenSSL's own interface");
  return lacking("cipher", name === null, {
    found: name === null ? "sealed files cannot be read or written" : `sealed files by ${name}, which is slower`,
    cause: reason,
    remedy: "unset CLOISTER_NODE_CIPHER, and install the optional package koffi: npm ci without --omit=optional",
  });
}

export function checkNginx({ nginx }: HostFacts): Finding {
  const builtIn = "the built-in gateway is used instead";
  if (nginx === undefined) {
    return lacking("nginx", false, {
      found: "nginx is not installed",
      cause: "there is no nginx in the path",
      remedy: `${builtIn}; for nginx: apt-get install nginx libnginx-mod-stream`,
    });
  }
  if (nginx.stream !== "none") return ok("nginx", `nginx ${nginx.version}, stream module ${streamText(nginx)}`);
  return lacking("nginx", false, {
    found: `nginx ${nginx.version} without the stream module`,
    cause: "it cannot pass TLS through without ending it",
    remedy: `${builtIn}; for nginx: apt-get install libnginx-mod-stream`,
  });
}

/** The clock decides about every expiry, so it has to be right within minutes. */
export function checkClock({ now, services }: HostFacts, purpose: Purpose): Finding {
  if (now < RELEASED) {
    return lacking("clock", true, {
      found: `the clock says ${now.toISOString()}`,
      cause: "that is before this software was made; expired collateral would count as valid",
      remedy: "set the clock: timedatectl set-ntp true",
    });
  }
  const [reference] = services.flatMap(({ date }) => date ?? []);
  if (reference === undefined) return ok("clock", `${now.toISOString()}, not compared with a service`);
  const skewMs = now.getTime() - reference.getTime();
  if (Math.abs(skewMs) <= MAX_SKEW_MS) {
    return ok("clock", `within ${Math.ceil(Math.abs(skewMs) / 1000)} s of the service's`);
  }
  const amount =
    Math.abs(skewMs) > DAY_MS
      ? `${Math.round(Math.abs(skewMs) / DAY_MS)} days`
      : `${Math.round(Math.abs(skewMs) / 1000)} s`;
  const texts = {
    found: `the clock is ${amount} ${skewMs > 0 ? "ahead of" : "behind"} the collateral service's`,
    cause: "one of the two clocks is wrong; validity is judged by this one",
    remedy: "synchronise it: timedatectl set-ntp true",
  };
  return purpose === "simulated" ? warning("clock", texts) : lacking("clock", true, texts);
}

function streamText({ stream }: NginxFact): string {
  return stream === "dynamic" ? "as a dynamic module" : "built in";
}
