import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import {
  type BackendHealth,
  ConnectionSpans,
  findNginx,
  limitsOf,
  listenOf,
  renderNginxConfig,
  routesAsConfigured,
  runGateway,
  type RunningGateway,
  servicesOf,
} from "@cloister/deploy/gateway";
import { isCodedError } from "@cloister/encoding";
import { Command } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { watchText } from "../../watch-text.ts";
import { type GatewayFlags, gatewayConfigOf, withGatewayOptions, withRunOptions } from "./options.ts";

const CONFIG_POLL_MS = 2000;
const DEFAULT_TRACE_RATIO = 0.01;
const DEFAULT_RUN_DIR = "/run/cloister-gateway";

/** `cloister gateway`: the load balancer that passes TLS through. */
export function gatewayCommand(setExit: (code: number) => void): Command {
  const gateway = new Command("gateway").description("Balance TLS connections over replicas without ending TLS.");
  withGatewayOptions(gateway.command("render"))
    .description("Write the nginx configuration.")
    .option("--output <file>", "where to write it (default: print it)")
    .option("--stream-module <file>", "ngx_stream_module.so (default: of the nginx on this machine, if it needs one)")
    .option("--json", "print one JSON document")
    .action(async (flags: RenderFlags) => setExit(await render(flags)));
  withRunOptions(withGatewayOptions(gateway.command("run")))
    .description(
      "Run the gateway until a signal ends it; services in the configuration are read again when it changes.",
    )
    .option("--json", "print one JSON object a line")
    .action(async (flags: GatewayFlags) => setExit(await run(flags)));
  return gateway;
}

interface RenderFlags extends GatewayFlags {
  readonly output?: string;
  readonly streamModule?: string;
}

async function render({ output, streamModule, ...flags }: RenderFlags): Promise<number> {
  const config = await gatewayConfigOf(flags);
  const module = streamModule ?? (await findNginx())?.streamModule;
  const text = renderNginxConfig({
    listen: listenOf(config),
    routes: routesAsConfigured(servicesOf(config)),
    limits: limitsOf(config),
    runDir: resolve(config.runDir ?? DEFAULT_RUN_DIR),
    ...(config.accessLog !== undefined && { accessLog: resolve(config.accessLog) }),
    ...(module !== undefined && { streamModule: module }),
  });
  if (output !== undefined) await writeFile(output, text);
  if (flags.json === true)
    process.stdout.write(`${JSON.stringify({ ok: true, output: output ?? null, nginx: text })}\n`);
  else if (output === undefined) process.stdout.write(text);
  return EXIT.done;
}

async function run(flags: GatewayFlags): Promise<number> {
  const config = await gatewayConfigOf(flags);
  const tell = teller(flags.json === true);
  const runDir = resolve(config.runDir ?? DEFAULT_RUN_DIR);
  const accessLog = config.accessLog === undefined ? undefined : resolve(config.accessLog);
  const log = config.kind !== "nginx" && accessLog !== undefined ? await openLog(accessLog) : undefined;
  const { otlpEndpoint: endpoint, traceRatio: ratio = DEFAULT_TRACE_RATIO } = config;
  const spans = endpoint === undefined ? undefined : new ConnectionSpans({ endpoint, ratio });
  const ended = Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
  const gateway = await runGateway(
    { ...config, runDir, ...(accessLog !== undefined && { accessLog }) },
    {
      onHealth: (health) => tell("health", healthText(health), { backends: health.map(healthRow) }),
      onError: (error) => tell("warning", reason(error), { error: reason(error) }),
      onConnectionEnd: (record) => {
        log?.write(`${JSON.stringify({ time: new Date().toISOString(), ...record })}\n`);
        spans?.add(record);
      },
    },
  );
  const { kind, address } = gateway;
  tell("listening", `${kind} gateway passes TLS through on ${address.host}:${address.port}`, { kind, address });
  if (spans !== undefined && kind === "nginx") {
    const text = "nginx sends no spans: its access log has the same fields";
    tell("warning", text, { error: text });
  }
  const stopWatching = await watchConfig(flags, gateway, tell);
  await ended;
  stopWatching();
  await gateway.close();
  log?.end();
  await spans?.close();
  return EXIT.done;
}

async function openLog(path: string): Promise<WriteStream> {
  await mkdir(resolve(path, ".."), { recursive: true });
  const stream = createWriteStream(path, { flags: "a", mode: 0o640 });
  await once(stream, "open");
  return stream;
}

type Tell = (event: string, text: string, fields: object) => void;

function teller(isJson: boolean): Tell {
  return (event, text, fields) => {
    const time = new Date().toISOString();
    process.stdout.write(isJson ? `${JSON.stringify({ time, event, ...fields })}\n` : `${time} ${text}\n`);
  };
}

const healthRow = ({ serverName, backend, isUp }: BackendHealth): object => ({ serverName, backend: backend.id, isUp });

function healthText(health: readonly BackendHealth[]): string {
  const up = health.filter(({ isUp }) => isUp).length;
  const down = health.filter(({ isUp }) => !isUp).map(({ backend }) => backend.id);
  return `${up} of ${health.length} backends up${down.length === 0 ? "" : `; down: ${down.join(", ")}`}`;
}

/** A configuration that is refused changes nothing. What is given by flags stays as given. */
function watchConfig(flags: GatewayFlags, gateway: RunningGateway, tell: Tell): Promise<() => void> {
  return watchText(flags.config ?? "cloister.yaml", CONFIG_POLL_MS, async () => {
    try {
      await gateway.applyServices(await gatewayConfigOf(flags));
      tell("config_applied", "the new services are in use; other keys take effect at the next start", {});
    } catch (error) {
      tell("warning", `the new configuration is not used: ${reason(error)}`, { error: reason(error) });
    }
  });
}

const reason = (error: unknown): string =>
  isCodedError(error) ? `${error.code}: ${error.message}` : "unexpected error";
