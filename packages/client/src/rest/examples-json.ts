import { toBase64 } from "@cloister/encoding/base64";
import type { Example, FeatureValues } from "../examples.ts";

/** The body of a `:classify` or `:regress` request. */
export function examplesJson(signature: string | undefined, examples: readonly Example[], context?: Example): string {
  const members = [
    ...(signature === undefined ? [] : [`"signature_name":${JSON.stringify(signature)}`]),
    ...(context === undefined ? [] : [`"context":${exampleJson(context)}`]),
    `"examples":[${examples.map(exampleJson).join(",")}]`,
  ];
  return `{${members.join(",")}}`;
}

function exampleJson(example: Example): string {
  const features = Object.entries(example).map(([name, values]) => `${JSON.stringify(name)}:${valuesJson(values)}`);
  return `{${features.join(",")}}`;
}

function valuesJson(values: FeatureValues): string {
  return `[${(values as readonly (number | bigint | string | Uint8Array)[]).map(valueJson).join(",")}]`;
}

/** The server takes a number without a point for an int64, so a float always gets one. */
function valueJson(value: number | bigint | string | Uint8Array): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof Uint8Array) return `{"b64":"${toBase64(value)}"}`;
  return typeof value === "number" && Number.isInteger(value) ? value.toFixed(1) : String(value);
}
