import { AppError } from '../../../platform/contract/errors.ts';

/** Largest numbers of fetches that this process runs at a time: for one tenant, and for all tenants together. */
const MOST_OF_ONE = 4;
const MOST_OF_ALL = 16;

/**
 * Time after which a refused client may try again, in milliseconds: `retry_after_ms` of the error `too_many_fetches`.
 */
const RETRY_MS = 2000;

type InSlot = <T>(owner: string, work: () => Promise<T>) => Promise<T>;

/**
 * Creates a function that runs fetches and limits how many run at a time. A request of a few bytes can make the service
 * fetch gigabytes, so a fetch beyond the limit is refused at once instead of waiting.
 *
 * The returned function throws AppError 429 `too_many_fetches`.
 */
export function createFetchSlots(): InSlot {
  const running = new Map<string, number>();
  let all = 0;
  return async (owner, work) => {
    const own = running.get(owner) ?? 0;
    if (own >= MOST_OF_ONE) throw tooMany(`${own} adapters of this tenant are fetched already`);
    if (all >= MOST_OF_ALL) throw tooMany(`${all} adapters of all tenants are fetched already`);
    running.set(owner, own + 1);
    all++;
    try {
      return await work();
    } finally {
      all--;
      const left = running.get(owner)! - 1;
      if (left === 0) running.delete(owner);
      else running.set(owner, left);
    }
  };
}

function tooMany(found: string): AppError {
  const message = `${found}: send the request again when one of them is answered`;
  return new AppError({ code: 'too_many_fetches', status: 429, message, details: { retry_after_ms: RETRY_MS } });
}
