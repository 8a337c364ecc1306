import { create, type DescFile, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { file_grpc_health_v1_health } from "@cloister/encoding/gen/grpc/health/v1/health_pb";
import {
  file_grpc_reflection_v1_reflection,
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from "@cloister/encoding/gen/grpc/reflection/v1/reflection_pb";
import { file_tensorflow_serving_apis_model_service } from "@cloister/encoding/gen/tensorflow_serving/apis/model_service_pb";
import { file_tensorflow_serving_apis_prediction_service } from "@cloister/encoding/gen/tensorflow_serving/apis/prediction_service_pb";
import { GRPC_STATUS } from "@cloister/encoding/grpc";
import type { StreamHandler } from "../rpc/streaming-call.ts";
import { serialize } from "./serialize.ts";

const SERVED: readonly DescFile[] = [
  file_tensorflow_serving_apis_prediction_service,
  file_tensorflow_serving_apis_model_service,
  file_grpc_health_v1_health,
  file_grpc_reflection_v1_reflection,
];

/** grpc.reflection.v1.ServerReflection: the API's own descriptions, which are the same for every model. */
export function reflectionHandler(): StreamHandler {
  const files = filesByName();
  const fileOfSymbol = symbols(files.values());
  return async (bytes, send) => {
    const originalRequest = fromBinary(ServerReflectionRequestSchema, bytes);
    const messageResponse = answer(originalRequest, files, fileOfSymbol);
    const { host: validHost } = originalRequest;
    const response = create(ServerReflectionResponseSchema, { validHost, originalRequest, messageResponse });
    await send(serialize(ServerReflectionResponseSchema, response));
  };
}

function answer(
  { messageRequest: request }: ServerReflectionRequest,
  files: ReadonlyMap<string, DescFile>,
  fileOfSymbol: ReadonlyMap<string, DescFile>,
) {
  switch (request.case) {
    case "listServices": {
      const service = SERVED.flatMap(({ services }) => services.map(({ typeName: name }) => ({ name })));
      return { case: "listServicesResponse", value: { service } } as const;
    }
    case "fileByFilename":
      return found(files.get(request.value));
    case "fileContainingSymbol":
      return found(fileOfSymbol.get(request.value));
    case "allExtensionNumbersOfType": {
      const known = fileOfSymbol.has(request.value);
      const value = { baseTypeName: request.value, extensionNumber: [] };
      return known ? ({ case: "allExtensionNumbersResponse", value } as const) : notFound();
    }
    default:
      return notFound();
  }
}

function found(file: DescFile | undefined) {
  if (file === undefined) return notFound();
  const fileDescriptorProto = withImports(file).map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } } as const;
}

function notFound() {
  const value = { errorCode: GRPC_STATUS.NOT_FOUND, errorMessage: "not known here" };
  return { case: "errorResponse", value } as const;
}

/** A file, then everything that it imports, each before what it imports itself. */
function withImports(file: DescFile): DescFile[] {
  const imports = new Set<DescFile>();
  const visit = (one: DescFile): void => {
    if (imports.has(one)) return;
    for (const imported of one.dependencies) visit(imported);
    imports.add(one);
  };
  visit(file);
  return [...imports].toReversed();
}

function filesByName(): Map<string, DescFile> {
  return new Map(SERVED.flatMap(withImports).map((file) => [file.proto.name, file]));
}

/** Full names of services, methods, messages and enums. */
function symbols(files: Iterable<DescFile>): Map<string, DescFile> {
  const found = new Map<string, DescFile>();
  for (const file of files) {
    for (const service of file.services) {
      found.set(service.typeName, file);
      for (const method of service.methods) found.set(`${service.typeName}.${method.name}`, file);
    }
    for (const { typeName } of file.enums) found.set(typeName, file);
    const messages = [...file.messages];
    for (let message = messages.pop(); message !== undefined; message = messages.pop()) {
      found.set(message.typeName, file);
      for (const field of message.fields) found.set(`${message.typeName}.${field.name}`, file);
      for (const { typeName } of message.nestedEnums) found.set(typeName, file);
      messages.push(...message.nestedMessages);
    }
  }
  return found;
}
