// The packages in the order of their arrows: a package may import those before it in this list, never those after it.
// The lint configuration turns the list into a rule, so a reversed import fails `npm run lint`.

export const LAYERS = [
  "encoding",
  "protected-files",
  "attestation",
  "policy",
  "release-log",
  "saved-model",
  "model-server",
  "broker",
  "enclave",
  "client",
  "deploy",
  "dashboard",
  "cli",
] as const;

/** Packages with no I/O at all. */
export const PURE = ["encoding", "policy"] as const;

/** Packages whose files, sockets and clocks are confined to `src/rim/`. */
export const RIM_ONLY = ["protected-files", "attestation", "release-log", "saved-model"] as const;

/** Modules that touch the world outside the process. */
export const IO_MODULES = [
  "node:fs",
  "node:fs/promises",
  "node:net",
  "node:tls",
  "node:http",
  "node:https",
  "node:http2",
  "node:dgram",
  "node:dns",
  "node:dns/promises",
  "node:child_process",
  "node:worker_threads",
  "node:cluster",
  "node:os",
  "node:process",
  "node:readline",
  "node:timers",
  "node:timers/promises",
] as const;
