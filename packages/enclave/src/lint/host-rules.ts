import type { Spot } from "./finding.ts";
import { isOn, type LintRule, when } from "./rule.ts";
import { at, isTable, type ManifestView, table, text } from "./view.ts";

/** What the host may say, see or change of the program and its process. */
export const HOST_RULES: readonly LintRule[] = [
  {
    name: "debug-enclave",
    severity: "error",
    remedy: "set sgx.debug = false",
    find: (view) =>
      when(isOn(view, "sgx.debug"), {
        at: "sgx.debug",
        why: "the host can read and write the memory of a debug enclave",
      }),
  },
  {
    name: "host-arguments",
    severity: "error",
    remedy: "fix them: loader.argv",
    find: (view) =>
      when(isOn(view, "loader.insecure__use_cmdline_argv"), {
        at: "loader.insecure__use_cmdline_argv",
        why: "the host chooses the arguments of an attested enclave: it can leave TLS out or name another model",
      }),
  },
  {
    name: "arguments-not-fixed",
    severity: "warning",
    remedy: "fix them: loader.argv",
    find: (view) =>
      when(
        view.argv === null &&
          at(view.document, "loader.argv_src_file") === undefined &&
          !isOn(view, "loader.insecure__use_cmdline_argv"),
        {
          at: "loader.argv",
          why: "the program starts without arguments, unless a packer adds some that are not seen here",
        },
      ),
  },
  {
    name: "host-environment",
    severity: "error",
    remedy: 'fix each variable: loader.env.NAME = "value"',
    find: (view) => [
      ...when(isOn(view, "loader.insecure__use_host_env"), {
        at: "loader.insecure__use_host_env",
        why: "the host sets every variable, LD_PRELOAD and SECRET_PROVISION_SERVERS among them",
      }),
      ...Object.entries(view.environment)
        .filter(([, value]) => value === null)
        .map(([name]) => ({ at: `loader.env.${name}`, why: "the host chooses its value" })),
    ],
  },
  {
    name: "host-eventfd",
    severity: "note",
    remedy: "none for Node.js, which does not start without; turn it off for other programs",
    find: (view) =>
      when(isOn(view, "sys.insecure__allow_eventfd"), {
        at: "sys.insecure__allow_eventfd",
        why: "the host can drop and invent wake-ups: it can stall the server, which it can anyway, and learns nothing",
      }),
  },
  {
    name: "insecure-option",
    severity: "error",
    remedy: "remove it",
    find: insecureSpots,
  },
  {
    name: "log-level",
    severity: "warning",
    remedy: 'set loader.log_level = "error"',
    find: (view) => {
      const level = text(at(view.document, "loader.log_level"));
      return when(["warning", "debug", "trace", "all"].includes(level), {
        at: "loader.log_level",
        why: `"${level}" tells the host what the program does`,
      });
    },
  },
];

const TOLD_ELSEWHERE = new Set(["insecure__use_cmdline_argv", "insecure__use_host_env", "insecure__allow_eventfd"]);

function insecureSpots({ document }: ManifestView): Spot[] {
  const spots: Spot[] = [];
  for (const [section, content] of Object.entries(document)) {
    for (const [key, value] of Object.entries(table(content))) {
      const isInsecure = key.startsWith("insecure__") || key.startsWith("debug__");
      const isOff = value === false || value === 0 || (isTable(value) && Object.keys(value).length === 0);
      if (!isInsecure || isOff || TOLD_ELSEWHERE.has(key)) continue;
      spots.push({ at: `${section}.${key}`, why: "Gramine itself calls it insecure: it is for debugging" });
    }
  }
  return spots;
}
