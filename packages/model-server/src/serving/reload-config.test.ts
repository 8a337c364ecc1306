import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { GRPC_PREFIX_LENGTH } from "@cloister/encoding/grpc";
import {
  ReloadConfigRequestSchema,
  ReloadConfigResponseSchema,
} from "@cloister/encoding/gen/tensorflow_serving/apis/model_management_pb";
import { callError } from "../errors.ts";
import type { ServedModel } from "../lifecycle/model-config.ts";
import { MetricRegistry } from "../metrics/metric-registry.ts";
import { reloadConfigHandler } from "./reload-config.ts";

type Request = MessageInitShape<typeof ReloadConfigRequestSchema>;
const CONFIG: NonNullable<Request["config"]> = {
  config: {
    case: "modelConfigList",
    value: { config: [{ name: "half", basePath: "/models/half", modelPlatform: "tensorflow" }] },
  },
};

async function reload(
  request: Request,
  apply?: (models: readonly ServedModel[]) => Promise<void>,
  metrics?: MetricRegistry,
) {
  const handler = reloadConfigHandler(apply, metrics ?? new MetricRegistry());
  const bytes = toBinary(ReloadConfigRequestSchema, create(ReloadConfigRequestSchema, request));
  const frame = await handler(bytes, new AbortController().signal);
  return fromBinary(ReloadConfigResponseSchema, frame.subarray(GRPC_PREFIX_LENGTH));
}

test("a new list of models is applied, and the answer tells how much the named metrics grew meanwhile", async () => {
  const metrics = new MetricRegistry();
  const loads = metrics.counter("/loads", "model");
  loads.at("half").add(5);
  const seen: string[] = [];
  const apply = async (models: readonly ServedModel[]): Promise<void> => {
    seen.push(...models.map(({ name, basePath }) => `${name} ${basePath}`));
    loads.at("half").add(2);
  };
  const { metric, status } = await reload({ config: CONFIG, metricNames: ["/loads"] }, apply, metrics);
  assert.deepEqual(seen, ["half /models/half"]);
  assert.equal(status?.errorCode, 0);
  assert.deepEqual(
    metric.map(({ name, valueIncrease }) => [name, valueIncrease.value]),
    [["/loads", 2n]],
  );
});

test("what is no list of models, what cannot be applied, and any of them where models are fixed, are refused", async () => {
  const nothing = (): Promise<void> => Promise.resolve();
  const isOnly = { code: "INVALID_ARGUMENT", message: /Only ModelConfigList is supported/ };
  await assert.rejects(reload({}, nothing), isOnly);
  await assert.rejects(reload({ config: {} }, nothing), isOnly);
  const custom = { case: "customModelConfig" as const, value: { typeUrl: "t", value: new Uint8Array(0) } };
  await assert.rejects(reload({ config: { config: custom } }, nothing), isOnly);
  const failing = () => Promise.reject(callError("UNKNOWN", "1 servable(s) did not become available"));
  await assert.rejects(reload({ config: CONFIG }, failing), { code: "UNKNOWN" });
  await assert.rejects(reload({ config: CONFIG }), { code: "FAILED_PRECONDITION" });
});
