import { type ChildProcess, execFile, spawn } from "node:child_process";
import { access, mkdir, rename, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { DeployError } from "../errors.ts";
import { ANY_NAME, DEFAULT_LIMITS, type Gateway, type GatewayOptions, type Route } from "./gateway.ts";
import { renderNginxConfig } from "./nginx-config.ts";

const run = promisify(execFile);
const START_ATTEMPTS = 100;
const START_POLL_MS = 30;
const STREAM_MODULES = ["/usr/lib/nginx/modules/ngx_stream_module.so", "/usr/lib64/nginx/modules/ngx_stream_module.so"];

/** An nginx with stream support on this machine. */
export interface Nginx {
  readonly executable: string;
  readonly streamModule?: string;
}

/** Finds an nginx that can pass TCP through, or `undefined`. */
export async function findNginx(): Promise<Nginx | undefined> {
  for (const executable of ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx", "/usr/local/bin/nginx"]) {
    const version = await run(executable, ["-V"]).then(
      ({ stderr }) => stderr,
      () => undefined,
    );
    if (version === undefined) continue;
    if (/--with-stream(?!=dynamic)(?:\s|$)/.test(version)) return { executable };
    for (const streamModule of STREAM_MODULES) {
      if (await exists(streamModule)) return { executable, streamModule };
    }
  }
  return undefined;
}

export interface NginxOptions extends GatewayOptions {
  readonly nginx: Nginx;
  /** Takes its configuration, pid file and logs. */
  readonly runDir: string;
  /** Where it writes a JSON line for each connection that ended. */
  readonly accessLog?: string;
}

/**
 * Runs nginx as the gateway. Routes that it does not accept are refused with `NGINX_REFUSED`, and those before stay. Throws
 * `NGINX_FAILED` when nginx does not come up (its error log says why) and `PORT_IN_USE` before it is started.
 */
export async function startNginx(options: NginxOptions): Promise<Gateway> {
  await mkdir(options.runDir, { recursive: true });
  const listen = { host: options.host, port: await freePort(options) };
  const configFile = join(options.runDir, "nginx.conf");
  const { runDir, nginx, limits = DEFAULT_LIMITS, accessLog } = options;
  let inUse = "";
  /** False where nothing is new: a reload would make nginx forget which backend has how many connections. */
  const write = async (routes: readonly Route[]): Promise<boolean> => {
    const { streamModule } = nginx;
    const config = renderNginxConfig({
      listen,
      routes,
      limits,
      runDir,
      ...(accessLog !== undefined && { accessLog }),
      ...(streamModule !== undefined && { streamModule }),
    });
    if (config === inUse) return false;
    await writeFile(`${configFile}.new`, config);
    await checkConfig(nginx, runDir, `${configFile}.new`);
    await rename(`${configFile}.new`, configFile);
    inUse = config;
    return true;
  };
  await write([{ serverName: ANY_NAME, backends: [] }]);
  const child = spawn(options.nginx.executable, ["-p", options.runDir, "-c", configFile], {
    stdio: "ignore",
    env: {},
  });
  const exited = new Promise<void>((resolve) => {
    child.once("close", () => resolve());
    child.once("error", () => resolve());
  });
  await waitForPort(listen, child);
  // One at a time: each goes through the same file before it is put in place.
  let lastChange: Promise<void> = Promise.resolve();
  return {
    kind: "nginx",
    address: listen,
    setRoutes: (routes) => {
      const change = lastChange.then(async () => {
        if (await write(routes)) child.kill("SIGHUP");
      });
      lastChange = change.catch(() => undefined);
      return change;
    },
    close: async () => {
      child.kill("SIGTERM");
      await exited;
    },
  };
}

/** Asks nginx about a configuration before it takes the place of the one in use. */
async function checkConfig(nginx: Nginx, runDir: string, configFile: string): Promise<void> {
  try {
    await run(nginx.executable, ["-t", "-q", "-p", runDir, "-c", configFile], { env: {} });
  } catch (cause) {
    throw new DeployError(
      "NGINX_REFUSED",
      {
        what: "nginx did not take the new routes, those before stay",
        why: "it finds its configuration wrong",
        remedy: `run nginx -t -c ${configFile} to see where`,
      },
      { cause },
    );
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** The port asked for, or a free one for 0; either way it could be bound a moment ago. */
function freePort({ host, port }: GatewayOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (cause) => {
      reject(
        new DeployError(
          "PORT_IN_USE",
          {
            what: `nginx cannot listen on port ${port}`,
            why: "the system refused the port",
            remedy: "choose another one with --port, or 0 for any free one",
          },
          { cause },
        ),
      );
    });
    probe.listen(port, host, () => {
      const taken = (probe.address() as { port: number }).port;
      probe.close(() => resolve(taken));
    });
  });
}

async function waitForPort({ host, port }: { host: string; port: number }, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < START_ATTEMPTS && child.exitCode === null; attempt++) {
    const reached = await new Promise<boolean>((resolve) => {
      const socket = connect({ host, port });
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
    if (reached) return;
    await sleep(START_POLL_MS);
  }
  child.kill("SIGKILL");
  throw new DeployError("NGINX_FAILED", {
    what: "nginx did not come up as the gateway",
    why: `port ${port} was not reachable`,
    remedy: "read nginx-error.log in the host folder, or choose --gateway built-in",
  });
}
