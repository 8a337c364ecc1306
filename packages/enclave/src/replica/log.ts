/** One structured line of a replica's log. It goes to an untrusted disk: no secrets, no payloads, no plaintext names. */
export type ReplicaLog = (event: string, fields?: Readonly<Record<string, string | number | boolean>>) => void;

/** Writes JSON lines to standard output; each says whether the platform is SIMULATED. */
export function jsonLog(base: Readonly<Record<string, string>>): ReplicaLog {
  return (event, fields = {}) => {
    const line = JSON.stringify({ time: new Date().toISOString(), ...base, event, ...fields });
    process.stdout.write(`${line}\n`);
  };
}
