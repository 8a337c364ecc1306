import { fromBinary } from "@bufbuild/protobuf";
import {
  type AssetFileDef,
  AssetFileDefSchema,
  type CollectionDef,
  type MetaGraphDef,
} from "@cloister/encoding/gen/tensorflow/core/protobuf/meta_graph_pb";
import type { Tensor } from "@cloister/encoding/tensor";
import { utf8 } from "@cloister/encoding";
import { fault } from "../error.ts";

/** The signature with which a TF2 SavedModel names its initialisation; nobody can call it. It has one output of the same name. */
export const INIT_OP_SIGNATURE = "__saved_model_init_op";

/** Collections that name it in TF1, the newer one first. */
const INIT_COLLECTIONS = ["saved_model_main_op", "legacy_init_op"] as const;

const ASSET_COLLECTION = "saved_model_assets";

/** What runs once when a model is loaded. */
export interface Initialization {
  /** The node that a TF2 SavedModel names in a signature. */
  readonly op?: string;
  /** Nodes to run. */
  readonly targets: readonly string[];
  /** Paths of asset files, by the tensor that holds them. */
  readonly assets: ReadonlyMap<string, Tensor>;
}

/** @throws SavedModelError GRAPH_MALFORMED for an asset name that is no plain file name below `assets/` */
export function readInitialization({ signatureDef, collectionDef, assetFileDef }: MetaGraphDef): Initialization {
  const assets = assetFiles(assetFileDef, collectionDef[ASSET_COLLECTION]).map(({ filename, tensorInfo }) => {
    const path: Tensor = { dtype: "string", shape: [], data: [utf8(`assets/${requirePlain(filename)}`)] };
    return [tensorInfo?.encoding.case === "name" ? tensorInfo.encoding.value : "", path] as const;
  });
  const named = Object.values(signatureDef[INIT_OP_SIGNATURE]?.outputs ?? {}).flatMap(({ encoding }) =>
    encoding.case === "name" ? [encoding.value] : [],
  );
  const collected = INIT_COLLECTIONS.map((name) => {
    const kind = Object.hasOwn(collectionDef, name) ? collectionDef[name]?.kind : undefined;
    return kind?.case === "nodeList" ? kind.value.value : [];
  });
  const targets = [named, ...collected].find((names) => names.length > 0) ?? [];
  const [op] = named;
  return { targets, assets: new Map(assets), ...(op !== undefined && { op }) };
}

/** TF1 keeps the list in a collection. */
function assetFiles(files: readonly AssetFileDef[], collection: CollectionDef | undefined): readonly AssetFileDef[] {
  if (files.length > 0 || collection?.kind.case !== "anyList") return files;
  return collection.kind.value.value.map(({ value }) => {
    try {
      return fromBinary(AssetFileDefSchema, value);
    } catch (cause) {
      throw fault(
        "PROTO_MALFORMED",
        "the list of assets cannot be read",
        "it is not a valid message",
        "export the model again",
        cause,
      );
    }
  });
}

/** The name comes from the model: it may not lead out of the folder of assets. */
function requirePlain(filename: string): string {
  const isPlain = filename !== "" && filename.split("/").every((part) => part !== "" && part !== "." && part !== "..");
  if (isPlain && !/[\\\0]/.test(filename)) return filename;
  throw fault(
    "GRAPH_MALFORMED",
    "an asset of the model has a name that cannot be used",
    "it leads out of the folder of assets",
    "export the model again",
  );
}
