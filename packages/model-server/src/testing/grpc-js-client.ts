import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  type CallOptions,
  Client,
  type ClientOptions,
  type ChannelCredentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";

/** The answer of a call by grpc-js: its message, or the status in its place. */
export interface GrpcJsResult<Message> {
  readonly message: Message | undefined;
  readonly code: string;
  readonly details: string;
  readonly metadata: Metadata;
}

/** An official gRPC client, so that the server is not only tested against our own. */
export class GrpcJsClient {
  readonly #client: Client;

  constructor(port: number, credentials: ChannelCredentials, options: ClientOptions = {}) {
    this.#client = new Client(`127.0.0.1:${port}`, credentials, {
      "grpc.ssl_target_name_override": "server.test",
      ...options,
    });
  }

  call<Request extends DescMessage, Response extends DescMessage>(
    path: string,
    requestSchema: Request,
    responseSchema: Response,
    request: MessageInitShape<Request>,
    options: CallOptions = {},
  ): Promise<GrpcJsResult<MessageShape<Response>>> {
    return new Promise((resolve) => {
      let metadata = new Metadata();
      const call = this.#client.makeUnaryRequest(
        path,
        (message: MessageInitShape<Request>) => Buffer.from(toBinary(requestSchema, create(requestSchema, message))),
        (bytes: Buffer) => fromBinary(responseSchema, bytes),
        request,
        new Metadata(),
        options,
        (error: ServiceError | null, message?: MessageShape<Response>) =>
          resolve({ message, code: status[error?.code ?? 0] ?? "?", details: error?.details ?? "", metadata }),
      );
      call.on("metadata", (received) => {
        metadata = received;
      });
    });
  }

  close(): void {
    this.#client.close();
  }
}
