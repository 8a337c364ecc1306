import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { create, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import {
  AllocateRequestSchema,
  AllocateResponseSchema,
  EmptySchema,
  ListAndWatchResponseSchema,
  MountSchema,
  RegisterRequestSchema,
} from "@cloister/encoding/gen/kubelet/deviceplugin/v1beta1/deviceplugin_pb";
import {
  Client,
  credentials,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
} from "@grpc/grpc-js";
import { startDevicePlugin } from "./device-plugin.ts";

/** The kubelet's side of the registration, on its socket. */
async function startKubelet(folder: string) {
  const requests: { endpoint: string; resourceName: string; version: string }[] = [];
  const server = new Server();
  const register = {
    path: "/v1beta1.Registration/Register",
    requestStream: false,
    responseStream: false,
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
  };
  server.addService(
    { register },
    {
      register: ({ request }: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
        requests.push(fromBinary(RegisterRequestSchema, new Uint8Array(request)));
        answer(null, Buffer.from(toBinary(EmptySchema, create(EmptySchema))));
      },
    },
  );
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix://${join(folder, "kubelet.sock")}`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  return { requests, close: () => server.forceShutdown() };
}

test("a plugin registers, lists its devices, and gives a container the mount of the quoting service", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cloister-plugin-"));
  const kubelet = await startKubelet(folder);
  const mounts = [create(MountSchema, { hostPath: "/var/run/quoting", containerPath: "/run/quoting", readOnly: true })];
  const plugin = await startDevicePlugin({
    folder,
    resource: "sgx.intel.com/enclave",
    devices: 3,
    allocation: { envs: {}, mounts },
  });
  const socket = "cloister-simulated-enclave.sock";
  const client = new Client(`unix://${join(folder, socket)}`, credentials.createInsecure());
  try {
    await plugin.register();
    const [request] = kubelet.requests;
    assert.equal(request?.resourceName, "sgx.intel.com/enclave");
    assert.equal(request.endpoint, socket);
    assert.equal(request.version, "v1beta1");

    const watch = client.makeServerStreamRequest(
      "/v1beta1.DevicePlugin/ListAndWatch",
      () => Buffer.alloc(0),
      (bytes: Buffer) => fromBinary(ListAndWatchResponseSchema, new Uint8Array(bytes)),
      {},
    );
    watch.on("error", () => undefined);
    const devices = await new Promise<readonly { id: string; health: string }[]>((resolve) => {
      watch.once("data", (message: { devices: { id: string; health: string }[] }) => resolve(message.devices));
    });
    assert.deepEqual(
      devices.map(({ id, health }) => [id, health]),
      [
        ["simulated-0", "Healthy"],
        ["simulated-1", "Healthy"],
        ["simulated-2", "Healthy"],
      ],
    );

    const asked = create(AllocateRequestSchema, { containerRequests: [{ devicesIds: ["simulated-1"] }] });
    const answer = await new Promise<MessageShape<typeof AllocateResponseSchema>>((resolve, reject) => {
      client.makeUnaryRequest(
        "/v1beta1.DevicePlugin/Allocate",
        () => Buffer.from(toBinary(AllocateRequestSchema, asked)),
        (bytes: Buffer) => fromBinary(AllocateResponseSchema, new Uint8Array(bytes)),
        asked,
        (error, response) => (response === undefined ? reject(error ?? new Error("no answer")) : resolve(response)),
      );
    });
    const [mount, ...others] = answer.containerResponses.flatMap((response) => response.mounts);
    assert.equal(mount?.hostPath, "/var/run/quoting");
    assert.equal(mount.readOnly, true);
    assert.equal(others.length, 0);
  } finally {
    client.close();
    await plugin.close();
    kubelet.close();
    assert.ok(!(await readdir(folder)).includes(socket), "the socket is removed");
    await rm(folder, { recursive: true });
  }
});
