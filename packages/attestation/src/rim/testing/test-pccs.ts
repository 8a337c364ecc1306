import type { IncomingMessage, ServerResponse } from "node:http";
import type { Collateral } from "../../collateral/collateral.ts";
import type { CollateralService } from "../../collateral/collateral-request.ts";
import type { PccsStyle } from "../../simulated/pccs-routes.ts";
import { startPccsServer } from "../simulated-pccs.ts";

/** Answers instead of the test service; returns false to let it answer. */
export type Interception = (request: IncomingMessage, response: ServerResponse) => boolean;

export interface TestPccs extends AsyncDisposable {
  readonly service: CollateralService;
  /** Paths with queries, in the order in which they came. */
  readonly requests: readonly string[];
  /** What it serves from now on. */
  serve(collateral: Collateral): void;
}

/** A collateral cache over real TLS on this machine, which serves one set of collateral and writes down what was asked. */
export async function startTestPccs(
  collateral: Collateral,
  intercept: Interception = () => false,
  style: PccsStyle = {},
): Promise<TestPccs> {
  const requests: string[] = [];
  let served = collateral;
  const server = await startPccsServer({
    find: () => served,
    style,
    intercept: (request, response) => {
      requests.push(request.url ?? "");
      return intercept(request, response);
    },
  });
  return {
    service: server.service,
    requests,
    serve: (next) => {
      served = next;
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
}
