import type { ModelReference } from "@cloister/encoding/tensor-proto";
import { callError } from "../errors.ts";

/** The checks that every call begins with. */
export function requireModel(model: ModelReference | undefined): ModelReference {
  if (model === undefined) throw callError("INVALID_ARGUMENT", "Missing ModelSpec");
  if (model.name === "") throw callError("INVALID_ARGUMENT", "ModelSpec has no name specified.");
  return model;
}
