import { type Channel, ClientError, createChannel, type ChannelOptions, type VerifiedReplica } from "@cloister/client";
import { frameGrpcMessage } from "@cloister/encoding/grpc";
import { DeployError } from "../../errors.ts";

const HEALTH = "/grpc.health.v1.Health/Check";
const CALL_DEADLINE_MS = 10_000;
/** Connections for each replica that was not seen yet: a gateway chooses, so some lead to a replica that was. */
const TRIES_PER_REPLICA = 25;
/** Held open for each replica: a gateway that balances by open connections leads the next one elsewhere. */
const OPEN_PER_REPLICA = 3;

export interface AttestedReplica {
  readonly replica: string;
  readonly evidence: VerifiedReplica;
}

export interface VerifyReport {
  readonly attested: readonly AttestedReplica[];
  /** Connections that were given up, by code. None may be there: behind the gateway is somebody who is no replica of ours. */
  readonly refused: readonly string[];
  /** Replicas that the cluster calls ready and that nobody was led to. */
  readonly unseen: readonly string[];
}

export interface VerifyOptions {
  /** Names of the pods that the cluster calls ready. */
  readonly replicas: readonly string[];
  /** The way through the gateway, with an attestor. A connection of its own is made for each look. */
  readonly channel: (onVerified: (replica: VerifiedReplica) => void) => Promise<ChannelOptions>;
  readonly onAttested: (replica: AttestedReplica) => void;
}

/**
 * Attests every replica behind the gateway, connection by connection, the way requesters come. Whoever answers proves what
 * it is before it is asked who. The cluster's word counts only for how many there should be.
 */
export async function verifyReplicas(options: VerifyOptions): Promise<VerifyReport> {
  const attested = new Map<string, AttestedReplica>();
  const refused: string[] = [];
  const unseen = new Set(options.replicas);
  const count = Math.max(1, options.replicas.length);
  const open: Channel[] = [];
  let triesLeft = count * TRIES_PER_REPLICA;
  // Every replica is met, and then a whole round more: an impostor beside them gets its turn as well.
  try {
    for (let extra = options.replicas.length; triesLeft > 0 && (unseen.size > 0 || extra > 0); triesLeft--) {
      if (unseen.size === 0) extra -= 1;
      if (open.length >= count * OPEN_PER_REPLICA) await open.shift()?.close();
      try {
        const met = await meet(options, open);
        if (!attested.has(met.replica)) options.onAttested(met);
        attested.set(met.replica, met);
        unseen.delete(met.replica);
      } catch (error) {
        if (!(error instanceof ClientError)) throw error;
        refused.push(error.code);
      }
    }
  } finally {
    await Promise.all(open.map((channel) => channel.close()));
  }
  return { attested: [...attested.values()], refused, unseen: [...unseen] };
}

/** Throws what is wrong with a report: `IMPOSTOR_FOUND`, `REPLICA_NOT_SEEN`. */
export function checkReport({ refused, unseen, attested }: VerifyReport): void {
  if (refused.length > 0) {
    throw new DeployError("IMPOSTOR_FOUND", {
      what: `${refused.length} connections through the gateway led to no replica of ours`,
      why: `they were refused with ${[...new Set(refused)].join(", ")}`,
      remedy: "send nothing there; look at the Service's endpoints and the gateway's backends",
    });
  }
  if (unseen.length > 0 || attested.length === 0) {
    throw new DeployError("REPLICA_NOT_SEEN", {
      what: "not every replica was attested",
      why: unseen.length > 0 ? `no connection led to ${unseen.join(", ")}` : "the cluster has no ready replica",
      remedy: "check the gateway's backends, and the replicas that are not READY",
    });
  }
}

/** Leaves its connection in `open`. */
async function meet({ channel: channelOptions }: VerifyOptions, open: Channel[]): Promise<AttestedReplica> {
  let evidence: VerifiedReplica | undefined;
  const channel = createChannel(await channelOptions((replica) => (evidence = replica)));
  open.push(channel);
  const { replica } = await channel.call({
    path: HEALTH,
    frame: frameGrpcMessage(new Uint8Array()),
    deadlineMs: CALL_DEADLINE_MS,
  });
  if (evidence === undefined) throw new TypeError("the channel has no attestor");
  return { replica: replica ?? "", evidence };
}
