import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access, readFile } from "node:fs/promises";
import { connect } from "node:net";
import { release } from "node:os";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import {
  AttestationError,
  appraise,
  quotedPlatform,
  type CollateralService,
  type TrustAnchor,
} from "@cloister/attestation";
import { probeService } from "@cloister/attestation/collateral-client";
import { readSets, type StoredSet } from "@cloister/attestation/collateral-folder";
import { ProtectedFileError } from "@cloister/protected-files";
import { chooseNodeCipher } from "@cloister/protected-files/rim";
import type { CipherFact, DeviceFact, HostFacts, NginxFact, ServiceFact, TcbFact } from "./facts.ts";
import { gatherNodeFacts } from "./kubernetes-facts.ts";
import { AESM_SOCKET, SGX_ENCLAVE_DEVICES, SGX_PROVISION_DEVICES, TDX_DEVICES, TSM_FOLDER } from "./hardware-checks.ts";

export interface GatherOptions {
  readonly now: Date;
  readonly services: readonly CollateralService[];
  /** Folder or file of stored collateral. */
  readonly collateral?: string;
  readonly anchors: readonly TrustAnchor[];
  /** A quote of this machine. */
  readonly quote?: Uint8Array;
  /** Look at what a Kubernetes node needs too. */
  readonly asNode?: boolean;
}

const CONNECT_MS = 1000;
const COMMAND_MS = 5000;
const MAX_CONFIG_BYTES = 1 << 23;
const STREAM_MODULES = ["/usr/lib/nginx/modules/ngx_stream_module.so", "/usr/lib64/nginx/modules/ngx_stream_module.so"];
const execute = promisify(execFile);

/** Looks at this machine, and asks the services. What cannot be found out is left out; nothing is changed. */
export async function gatherFacts(options: GatherOptions): Promise<HostFacts> {
  const kernelRelease = release();
  const devices = [...SGX_ENCLAVE_DEVICES, ...SGX_PROVISION_DEVICES, ...TDX_DEVICES];
  const [kernelConfig, cpuFlags, deviceFacts, aesmSocket, tsmReports, nginx, services, collateral, node] =
    await Promise.all([
      readKernelConfig(kernelRelease),
      readCpuFlags(),
      Promise.all(devices.map(lookAtDevice)),
      lookAtSocket(AESM_SOCKET),
      exists(TSM_FOLDER),
      lookAtNginx(),
      Promise.all(options.services.map(askService)),
      options.collateral === undefined ? [] : readSets(options.collateral, options.anchors, options.now),
      options.asNode === true ? gatherNodeFacts() : undefined,
    ]);
  const tcb = options.quote && judgeTcb(options.quote, collateral, options);
  return {
    now: options.now,
    nodeVersion: process.version,
    cipher: await lookAtCipher(),
    platform: process.platform,
    architecture: process.arch,
    kernelRelease,
    ...(kernelConfig && { kernelConfig }),
    cpuFlags,
    devices: deviceFacts,
    aesmSocket,
    tsmReports,
    ...(nginx && { nginx }),
    services,
    collateral,
    ...(tcb && { tcb }),
    ...(node && { node }),
  };
}

async function lookAtCipher(): Promise<CipherFact> {
  try {
    const { cipher, reason } = await chooseNodeCipher();
    return { name: cipher.name, ...(reason !== undefined && { reason }) };
  } catch (error) {
    if (!(error instanceof ProtectedFileError)) throw error;
    return { name: null, reason: error.message };
  }
}

async function readCpuFlags(): Promise<ReadonlySet<string>> {
  const text = await readFile("/proc/cpuinfo", "utf8").catch(() => "");
  return new Set(/^flags\s*:(.*)$/m.exec(text)?.[1]?.trim().split(" "));
}

async function readKernelConfig(kernelRelease: string): Promise<ReadonlyMap<string, string> | undefined> {
  const plain = await readFile(`/boot/config-${kernelRelease}`, "utf8").catch(() => undefined);
  const packed = plain === undefined ? await readFile("/proc/config.gz").catch(() => undefined) : undefined;
  const text = plain ?? (packed && gunzipSync(packed, { maxOutputLength: MAX_CONFIG_BYTES }).toString());
  if (text === undefined) return undefined;
  return new Map([...text.matchAll(/^(CONFIG_\w+)=(.*)$/gm)].map(([, name = "", value = ""]) => [name, value]));
}

async function lookAtDevice(path: string): Promise<DeviceFact> {
  return { path, exists: await exists(path), usable: await isAllowed(path, constants.R_OK | constants.W_OK) };
}

async function lookAtSocket(path: string): Promise<HostFacts["aesmSocket"]> {
  if (!(await exists(path))) return "absent";
  return await new Promise((resolve) => {
    const socket = connect({ path, timeout: CONNECT_MS });
    const end = (result: HostFacts["aesmSocket"]) => (): void => {
      socket.destroy();
      resolve(result);
    };
    socket.once("connect", end("listening"));
    socket.once("error", end("refused"));
    socket.once("timeout", end("refused"));
  });
}

/** nginx tells its build options on standard error. */
async function lookAtNginx(): Promise<NginxFact | undefined> {
  const output = await execute("nginx", ["-V"], { timeout: COMMAND_MS }).catch(() => undefined);
  const version = /nginx\/([\d.]+)/.exec(output?.stderr ?? "")?.[1];
  if (output === undefined || version === undefined) return undefined;
  if (/--with-stream(?!=dynamic)(?:\s|$)/.test(output.stderr)) return { version, stream: "built-in" };
  const modules = await Promise.all(STREAM_MODULES.map(exists));
  return { version, stream: modules.includes(true) ? "dynamic" : "none" };
}

async function askService(service: CollateralService): Promise<ServiceFact> {
  const start = performance.now();
  const elapsed = (): number => Math.round(performance.now() - start);
  try {
    const { date } = await probeService(service);
    return { url: service.url, code: null, ms: elapsed(), ...(date && { date }) };
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    return { url: service.url, code: error.code, message: error.explanation.why, ms: elapsed() };
  }
}

function judgeTcb(quote: Uint8Array, stored: readonly StoredSet[], { anchors, now }: GatherOptions): TcbFact {
  try {
    const { tee, fmspc, pckCa } = quotedPlatform(quote);
    const set = stored.find(
      ({ platform }) => platform?.tee === tee && platform.fmspc === fmspc && platform.pckCa === pckCa,
    );
    if (set?.collateral === undefined) {
      const remedy = "fetch it: cloister attest collateral fetch --evidence FILE";
      return { status: null, advisoryIds: [], simulated: false, code: "COLLATERAL_NOT_FOUND", remedy };
    }
    const { tcb, simulated } = appraise({ quote }, set.collateral, anchors, now);
    return { status: tcb.status, advisoryIds: tcb.advisoryIds, tcbDate: tcb.tcbDate, simulated, code: null };
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    const { code, explanation } = error;
    return { status: null, advisoryIds: [], simulated: false, code, remedy: explanation.remedy };
  }
}

async function exists(path: string): Promise<boolean> {
  return await isAllowed(path, constants.F_OK);
}

async function isAllowed(path: string, mode: number): Promise<boolean> {
  return await access(path, mode).then(
    () => true,
    () => false,
  );
}
