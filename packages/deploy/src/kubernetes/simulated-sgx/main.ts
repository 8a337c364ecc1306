import { stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { MountSchema } from "@cloister/encoding/gen/kubelet/deviceplugin/v1beta1/deviceplugin_pb";
import { openSimulatedPlatform, QUOTING_SOCKET, SIMULATED_FILES, startQuotingService } from "@cloister/enclave";
import { connectFromPod } from "../cluster/connect.ts";
import { Size } from "../size.ts";
import { type DevicePlugin, startDevicePlugin } from "./device-plugin.ts";

// The SIMULATED SGX device plugin of a development cluster: enclave devices and memory that are not there, and the quoting service
// of a platform that proves nothing. Containers that are given a device find the service's socket where this process mounts it.

const PLUGINS_FOLDER = "/var/lib/kubelet/device-plugins";
const PLATFORM = join("/etc/cloister/platform", SIMULATED_FILES.state);
/** As many as Intel's plugin offers by default. */
const DEVICES = 110;
const ENCLAVE_MEMORY = Size.mebibytes(128 * 1024);
const LOOK_PERIOD_MS = 2000;

const log = (event: string, fields: object = {}): void => {
  process.stdout.write(
    `${JSON.stringify({ time: new Date().toISOString(), platform: "SIMULATED", event, ...fields })}\n`,
  );
};

const fromEnvironment = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new TypeError(`the variable ${name} is not set`);
  return value;
};

/** The kubelet makes its socket anew when it starts, and forgets every plugin. */
async function kubeletStart(): Promise<number | undefined> {
  return stat(join(PLUGINS_FOLDER, "kubelet.sock")).then(
    ({ ino }) => ino,
    () => undefined,
  );
}

async function advertiseMemory(node: string): Promise<void> {
  const api = await connectFromPod();
  const capacity = { "sgx.intel.com/epc": String(ENCLAVE_MEMORY.bytes) };
  await api.call({
    method: "PATCH",
    path: `/api/v1/nodes/${node}/status`,
    contentType: "application/merge-patch+json",
    body: { status: { capacity } },
  });
}

async function main(): Promise<void> {
  const node = fromEnvironment("NODE_NAME");
  const folder = fromEnvironment("QUOTING_FOLDER");
  const platform = await openSimulatedPlatform(PLATFORM);
  const socket = join(folder, QUOTING_SOCKET.file);
  const quoting = await startQuotingService(socket, platform);
  const mounts = [create(MountSchema, { hostPath: folder, containerPath: QUOTING_SOCKET.folder, readOnly: true })];
  const plugins: DevicePlugin[] = await Promise.all(
    ["sgx.intel.com/enclave", "sgx.intel.com/provision"].map((resource) =>
      startDevicePlugin({
        folder: PLUGINS_FOLDER,
        resource,
        devices: DEVICES,
        allocation: { envs: {}, mounts: resource.endsWith("enclave") ? mounts : [] },
      }),
    ),
  );
  const stop = async (): Promise<void> => {
    await Promise.all([quoting.close(), ...plugins.map((plugin) => plugin.close())]);
    process.exit(0);
  };
  process.once("SIGTERM", () => void stop());
  let known: number | undefined;
  for (;;) {
    const kubelet = await kubeletStart();
    if (kubelet !== undefined && kubelet !== known) {
      await Promise.all(plugins.map((plugin) => plugin.register()));
      await advertiseMemory(node);
      log("registered", { node, devices: DEVICES, enclaveMemory: String(ENCLAVE_MEMORY) });
      known = kubelet;
    }
    await sleep(LOOK_PERIOD_MS);
  }
}

await main();
