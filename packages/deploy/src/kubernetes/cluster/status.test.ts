import assert from "node:assert/strict";
import { test } from "node:test";
import { sumOf } from "./status.ts";

test("a metric is summed over its labels, and not over others that begin with its name", () => {
  const text = [
    "# TYPE :tensorflow:serving:request_count counter",
    ':tensorflow:serving:request_count{model_name="a",status="OK"} 3',
    ':tensorflow:serving:request_count{model_name="b",status="OK"} 4',
    ":tensorflow:serving:request_count_other 100",
    ":cloister:running_calls 2",
    "",
  ].join("\n");
  assert.equal(sumOf(text, ":tensorflow:serving:request_count"), 7);
  assert.equal(sumOf(text, ":cloister:running_calls"), 2);
  assert.equal(sumOf(text, ":cloister:connections"), 0);
});
