/** The variable that says how much memory a worker or a command may take. */
export const MEMORY_VARIABLE = 'READAPT_MEMORY';

type Environment = Readonly<Record<string, string | undefined>>;

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  mib: 2 ** 20,
  gib: 2 ** 30,
  mb: 1e6,
  gb: 1e9,
};

/** Turns `12GiB`, `8000 MB` or a number of bytes into bytes. Text that is neither is returned unchanged. */
export function parseMemory(text: string): number | string {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text) ?? [];
  const factor = UNITS[unit.toLowerCase()];
  return digits === undefined || factor === undefined ? text : Math.floor(Number(digits) * factor);
}

/**
 * Bytes that this process may take; null if the variable is not set.
 * @throws RangeError, which counts as bad input, for text that is no amount of memory
 */
export function memorySetting(env: Environment): number | null {
  const text = env[MEMORY_VARIABLE]?.trim() ?? '';
  if (text === '') return null;
  const bytes = parseMemory(text);
  if (typeof bytes === 'number') return bytes;
  const message = `${MEMORY_VARIABLE} is ${text}, expected a size such as 12GiB`;
  throw Object.assign(new RangeError(message), { badInput: true, code: 'invalid_config' });
}
