import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { type GraphDef, GraphDefSchema } from "@cloister/encoding/gen/tensorflow/core/framework/graph_pb";
import type { MetaGraphDef } from "@cloister/encoding/gen/tensorflow/core/protobuf/meta_graph_pb";
import { SavedModelSchema } from "@cloister/encoding/gen/tensorflow/core/protobuf/saved_model_pb";
import { fault } from "../error.ts";
import type { ModelFiles } from "../model-files.ts";

/** The file of a SavedModel that holds its graphs. */
export const SAVED_MODEL_FILE = "saved_model.pb";

/** A GraphDef message. Bytes fields are views of `bytes`. @throws SavedModelError PROTO_MALFORMED */
export function decodeGraphDef(bytes: Uint8Array): GraphDef {
  return decode(GraphDefSchema, bytes, "the frozen graph");
}

/**
 * The meta graph of a SavedModel whose set of tags is `tags`.
 *
 * @throws SavedModelError FILE_MISSING, PROTO_MALFORMED, TAGS_NOT_FOUND
 */
export function decodeMetaGraph(files: ModelFiles, tags: readonly string[] = ["serve"]): MetaGraphDef {
  const bytes = files.get(SAVED_MODEL_FILE);
  if (!bytes) {
    throw fault(
      "FILE_MISSING",
      `the file ${SAVED_MODEL_FILE} is missing`,
      "without it a directory is no SavedModel",
      "give the directory that holds saved_model.pb, or import a frozen graph first",
    );
  }
  const { metaGraphs } = decode(SavedModelSchema, bytes, SAVED_MODEL_FILE);
  const wanted = tagSet(tags);
  const found = metaGraphs.find(({ metaInfoDef }) => tagSet(metaInfoDef?.tags ?? []) === wanted);
  if (found) return found;
  const available = metaGraphs.map(({ metaInfoDef }) => `{${tagSet(metaInfoDef?.tags ?? [])}}`).join(", ");
  throw fault(
    "TAGS_NOT_FOUND",
    `the SavedModel has no graph with the tags {${wanted}}`,
    `it has ${available || "no graph at all"}`,
    "export it for serving",
  );
}

function tagSet(tags: readonly string[]): string {
  return tags.toSorted().join(",");
}

function decode<Schema extends DescMessage>(schema: Schema, bytes: Uint8Array, what: string): MessageShape<Schema> {
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    throw fault(
      "PROTO_MALFORMED",
      `${what} cannot be read`,
      "it is not a valid message",
      "copy the model again",
      cause,
    );
  }
}
