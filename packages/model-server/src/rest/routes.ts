import type { ModelReference } from "@cloister/encoding/tensor-proto";
import { callError } from "../errors.ts";

export type InferenceVerb = "predict" | "classify" | "regress";

/** What a request asks for. */
export type Route =
  | { readonly kind: InferenceVerb; readonly model: ModelReference }
  | { readonly kind: "metadata" | "status"; readonly model: ModelReference }
  | { readonly kind: "none" };

const WHICH = "(?:/(?:versions/(?<version>[0-9]+)|labels/(?<label>[^/:]+)))?";
const INFERENCE = new RegExp(`^/v1/models/(?<name>[^/:]+)${WHICH}:(?<verb>classify|regress|predict)$`, "i");
const INFORMATION = new RegExp(`^/v1/models(?:/(?<name>[^/:]+))?${WHICH}(?<metadata>/metadata)?$`, "i");
const MAX_INT64 = 2n ** 63n - 1n;

/** The route of a method and path (without its query). Throws INVALID_ARGUMENT; `none` is a 404. */
export function routeOf(method: string, path: string): Route {
  if (!/^\/v1\//i.test(path)) return { kind: "none" };
  const inference = method === "POST" ? INFERENCE.exec(path)?.groups : undefined;
  if (inference !== undefined) {
    return { kind: (inference["verb"] ?? "").toLowerCase() as InferenceVerb, model: referenceOf(inference) };
  }
  const information = method === "GET" ? INFORMATION.exec(path)?.groups : undefined;
  if (information !== undefined) {
    if (information["name"] === undefined) throw callError("INVALID_ARGUMENT", "Missing model name in request.");
    return { kind: information["metadata"] === undefined ? "status" : "metadata", model: referenceOf(information) };
  }
  throw callError("INVALID_ARGUMENT", `Malformed request: ${method} ${path}`);
}

function referenceOf({ name = "", version, label }: Readonly<Record<string, string | undefined>>): ModelReference {
  const base = { name: decoded(name), signatureName: "" };
  if (label !== undefined) return { ...base, versionLabel: decoded(label) };
  if (version === undefined) return base;
  // The length is checked first: conversion takes time with the square of it.
  const number = version.length > 40 ? MAX_INT64 + 1n : BigInt(version);
  if (number > MAX_INT64) throw callError("INVALID_ARGUMENT", `Failed to convert version: ${version} to numeric.`);
  return { ...base, version: number };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw callError("INVALID_ARGUMENT", "A name in the path is not valid percent-encoded UTF-8.");
  }
}
