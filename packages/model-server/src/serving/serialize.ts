import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { frameGrpcMessage } from "@cloister/encoding/grpc";

/** A generated message as handlers return it: with the gRPC prefix's bytes in front. */
export function serialize<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Uint8Array {
  return frameGrpcMessage(toBinary(schema, message));
}
