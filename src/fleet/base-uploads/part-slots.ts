import { AppError } from '../../platform/contract/errors.ts';

/**
 * Largest number of parts that a process receives at a time. If the artifact store is a bucket, receiving a part takes
 * up to 40 MiB of memory.
 */
export const MOST_AT_A_TIME = 6;

/**
 * Time after which a refused client may send a part again, in milliseconds: `retry_after_ms` of the error
 * `too_many_parts`.
 */
const RETRY_MS = 2000;

/**
 * Creates a function that receives parts and limits how many a process receives at a time. A part beyond the limit is
 * refused at once, before it is read.
 *
 * The returned function throws AppError 429 `too_many_parts`.
 */
export function createPartSlots(): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  return async (work) => {
    if (running >= MOST_AT_A_TIME) throw tooMany();
    running++;
    try {
      return await work();
    } finally {
      running--;
    }
  };
}

function tooMany(): AppError {
  const message =
    `${MOST_AT_A_TIME} parts are received by this process already: send this ` +
    'one again when one of them is answered';
  return new AppError({ code: 'too_many_parts', status: 429, message, details: { retry_after_ms: RETRY_MS } });
}
