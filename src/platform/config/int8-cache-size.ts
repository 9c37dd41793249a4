import { INT8_CACHE_GB } from '../../../core/options/precisions.ts';

/** The variable with the largest size of all rounded matrices in the folder of compiled graphs, in GiB. */
export const INT8_CACHE_VARIABLE = 'READAPT_INT8_CACHE_GB';

/** Returns the size in bytes. @throws Error, which counts as bad input, for anything but a whole number of GiB */
export function int8CacheBytes(env: Readonly<Record<string, string | undefined>>): number {
  const text = env[INT8_CACHE_VARIABLE]?.trim() ?? '';
  if (/^\d{0,6}$/.test(text)) return gibibytes(text === '' ? INT8_CACHE_GB : Number(text));
  const message = `${INT8_CACHE_VARIABLE} is "${text}", expected an integer from 0 to 999999 (GiB)`;
  throw Object.assign(new Error(message), { badInput: true, code: 'invalid_config' });
}

export function gibibytes(count: number): number {
  return count * 2 ** 30;
}
