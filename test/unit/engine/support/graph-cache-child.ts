/** Computes the case of `graph-cache-case.ts` with the cache folder in the first argument. */
import { createRequire } from 'node:module';
import { computeBits, CountingCache } from './graph-cache-case.ts';

const cache = new CountingCache(process.argv[2]!);
const bits = await computeBits(cache);
const loaded = Object.keys(createRequire(import.meta.url).cache);
process.send!({ bits, traced: cache.traced, tfjs: loaded.some((file) => /@tensorflow[\\/]tfjs/.test(file)) });
process.disconnect();
