import { GatewayConfig } from "@cloister/deploy/gateway";
import { type Command, InvalidArgumentError, Option } from "commander";
import { ConfigError, readSection, type Section } from "../../config.ts";
import { fraction, wholeNumber } from "../../flags.ts";

export interface GatewayFlags extends Omit<GatewayConfig, "services"> {
  readonly config?: string;
  readonly service?: GatewayConfig["services"];
  readonly json?: boolean;
}

const GATEWAY_SECTION: Section<GatewayConfig> = { name: "gateway", schema: GatewayConfig };
const SECONDS = wholeNumber(1, 86_400);
const COUNT = wholeNumber(1, 1_000_000);

/** The options of every gateway command; each overrides the key of the same name. */
export function withGatewayOptions(command: Command): Command {
  return command
    .option("--config <file>", "configuration file (default: cloister.yaml, if there is one)")
    .option("--listen <host:port>", "address to listen on (default: 0.0.0.0:8500)")
    .option(
      "--service <[name=]host:port,...>",
      "a service by the TLS server name that clients ask for, and its backends; without a name, for any; repeatable",
      addService,
    )
    .option("--accept-proxy-protocol", "a balancer in front tells clients' addresses (PROXY protocol 1 or 2)")
    .option("--send-proxy-protocol", "tell backends clients' addresses (PROXY protocol 1); they have to expect it")
    .option("--max-connections <n>", "connections in all (default: 4096)", COUNT)
    .option("--max-connections-per-address <n>", "connections of one client address (default: no limit)", COUNT)
    .option(
      "--upload-bytes-per-second <n>",
      "what a client may send on one connection (default: no limit)",
      wholeNumber(1024, 2_000_000_000),
    )
    .option("--connect-timeout-seconds <n>", "how long a backend may take to accept (default: 2)", SECONDS)
    .option("--idle-timeout-seconds <n>", "when a silent connection is closed (default: 600)", SECONDS)
    .option("--access-log <file>", "a JSON line for each connection that ended, without payload")
    .option("--run-dir <folder>", "nginx's configuration, pid file and log (default: /run/cloister-gateway)");
}

/** Options of `gateway run` alone. */
export function withRunOptions(command: Command): Command {
  return command
    .addOption(new Option("--kind <kind>", "default: auto").choices(["auto", "nginx", "built-in"]))
    .option(
      "--probe-seconds <n>",
      "how often names are resolved and backends asked for a connection (default: 2)",
      SECONDS,
    )
    .option("--otlp-endpoint <url>", "built-in: send a span for each connection to this collector over OTLP/HTTP")
    .option("--trace-ratio <part>", "part of the connections that is told there (default: 0.01)", fraction);
}

/** Flags over configuration. Throws `ConfigError`. */
export async function gatewayConfigOf(flags: GatewayFlags): Promise<GatewayConfig> {
  const { config, service, json: _json, ...given } = flags;
  const merged = { ...(await readSection(config, GATEWAY_SECTION)), ...given, ...(service && { services: service }) };
  const checked = GatewayConfig.safeParse(merged);
  if (checked.success) return checked.data;
  throw new ConfigError("CONFIG_INVALID", {
    what: "the gateway did not start",
    why: checked.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; "),
    remedy: "correct the flag or the key of that name",
  });
}

/** `name=host:port,host:port` or `host:port,…`. Addresses and names are checked with the rest of the configuration. */
function addService(
  text: string,
  before: NonNullable<GatewayConfig["services"]> = [],
): NonNullable<GatewayConfig["services"]> {
  const at = text.indexOf("=");
  const backends = text.slice(at + 1).split(",");
  if (backends.includes("")) throw new InvalidArgumentError("NAME=HOST:PORT,HOST:PORT or HOST:PORT,... is needed");
  return [...before, { serverName: at < 0 ? "*" : text.slice(0, at), backends }];
}
