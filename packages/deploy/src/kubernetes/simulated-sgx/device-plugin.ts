import { rm } from "node:fs/promises";
import { join } from "node:path";
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import {
  AllocateRequestSchema,
  AllocateResponseSchema,
  type ContainerAllocateResponse,
  ContainerAllocateResponseSchema,
  DevicePluginOptionsSchema,
  EmptySchema,
  ListAndWatchResponseSchema,
  RegisterRequestSchema,
} from "@cloister/encoding/gen/kubelet/deviceplugin/v1beta1/deviceplugin_pb";
import {
  Client,
  credentials,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";

const API_VERSION = "v1beta1";
const KUBELET_SOCKET = "kubelet.sock";
const REGISTER_TIMEOUT_MS = 10_000;

export interface DevicePluginOptions {
  /** The kubelet's folder, `/var/lib/kubelet/device-plugins`. */
  readonly folder: string;
  readonly resource: string;
  readonly devices: number;
  /** What a container gets for the devices that it was given. */
  readonly allocation: Pick<ContainerAllocateResponse, "envs" | "mounts">;
}

export interface DevicePlugin {
  /** Tells the kubelet about it; again after the kubelet was started anew, which forgets. */
  register(): Promise<void>;
  close(): Promise<void>;
}

/** A device plugin for one resource, with devices that are never unwell. Every allocation gives the same. */
export async function startDevicePlugin(options: DevicePluginOptions): Promise<DevicePlugin> {
  const endpoint = `cloister-simulated-${options.resource.split("/").at(-1) ?? ""}.sock`;
  const socket = join(options.folder, endpoint);
  await rm(socket, { force: true });
  const server = new Server();
  server.addService(SERVICE, implementation(options));
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix://${socket}`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  return {
    register: () => register(options, endpoint),
    close: async () => {
      server.forceShutdown();
      await rm(socket, { force: true });
    },
  };
}

const method = <I extends DescMessage, O extends DescMessage>(name: string, input: I, output: O, stream = false) => ({
  path: `/v1beta1.DevicePlugin/${name}`,
  requestStream: false,
  responseStream: stream,
  requestSerialize: (value: MessageShape<I>) => Buffer.from(toBinary(input, value)),
  requestDeserialize: (bytes: Buffer) => fromBinary(input, new Uint8Array(bytes)),
  responseSerialize: (value: MessageShape<O>) => Buffer.from(toBinary(output, value)),
  responseDeserialize: (bytes: Buffer) => fromBinary(output, new Uint8Array(bytes)),
});

const SERVICE = {
  getDevicePluginOptions: method("GetDevicePluginOptions", EmptySchema, DevicePluginOptionsSchema),
  listAndWatch: method("ListAndWatch", EmptySchema, ListAndWatchResponseSchema, true),
  allocate: method("Allocate", AllocateRequestSchema, AllocateResponseSchema),
  preStartContainer: method("PreStartContainer", EmptySchema, EmptySchema),
};

function implementation({ devices, allocation }: DevicePluginOptions): UntypedServiceImplementation {
  const all = Array.from({ length: devices }, (_, index) => ({ id: `simulated-${index}`, health: "Healthy" }));
  return {
    getDevicePluginOptions: (_call: unknown, answer: sendUnaryData<MessageShape<typeof DevicePluginOptionsSchema>>) =>
      answer(null, create(DevicePluginOptionsSchema)),
    // The stream stays open: its end tells the kubelet that the plugin is gone.
    listAndWatch: (call: ServerWritableStream<unknown, unknown>) =>
      void call.write(create(ListAndWatchResponseSchema, { devices: all })),
    allocate: (
      { request }: ServerUnaryCall<MessageShape<typeof AllocateRequestSchema>, unknown>,
      answer: sendUnaryData<MessageShape<typeof AllocateResponseSchema>>,
    ) => {
      const containerResponses = request.containerRequests.map(() =>
        create(ContainerAllocateResponseSchema, { envs: allocation.envs, mounts: allocation.mounts }),
      );
      answer(null, create(AllocateResponseSchema, { containerResponses }));
    },
    preStartContainer: (_call: unknown, answer: sendUnaryData<MessageShape<typeof EmptySchema>>) =>
      answer(null, create(EmptySchema)),
  };
}

async function register({ folder, resource }: DevicePluginOptions, endpoint: string): Promise<void> {
  const client = new Client(`unix://${join(folder, KUBELET_SOCKET)}`, credentials.createInsecure());
  const request = create(RegisterRequestSchema, {
    version: API_VERSION,
    endpoint,
    resourceName: resource,
    options: {},
  });
  try {
    await new Promise<void>((resolve, reject) => {
      client.makeUnaryRequest(
        "/v1beta1.Registration/Register",
        () => Buffer.from(toBinary(RegisterRequestSchema, request)),
        (bytes: Buffer) => fromBinary(EmptySchema, new Uint8Array(bytes)),
        request,
        { deadline: Date.now() + REGISTER_TIMEOUT_MS },
        (error) => (error === null ? resolve() : reject(error)),
      );
    });
  } finally {
    client.close();
  }
}
