/** Why a request cannot be computed; half a sentence that holds no data of the request. */
export class HostRefusal extends Error {}

/** Refuses the request at hand. */
export function refuse(reason: string): never {
  throw new HostRefusal(reason);
}
