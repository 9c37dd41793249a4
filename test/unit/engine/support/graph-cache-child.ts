/** Computes the case of `graph-cache-case.ts` with the cache in the folder of the first argument. */
import { computeBits, CountingCache } from './graph-cache-case.ts';

const cache = new CountingCache(process.argv[2]!);
const bits = await computeBits(cache);
process.send!({ bits, traced: cache.traced });
process.disconnect();
