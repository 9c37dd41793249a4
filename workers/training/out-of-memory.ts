/** Code of a failure for lack of memory, whichever process has noticed it. */
export const OUT_OF_MEMORY = 'out_of_memory';

/**
 * Patterns of the messages of V8, the C++ library, ONNX Runtime (on Linux, macOS and Windows) and the system when
 * memory runs out.
 */
const SIGNS = [
  /\bout of memory\b/i,
  /Array buffer allocation failed/i,
  /\bbad[_ ]alloc/i,
  /Failed to allocate memory/i,
  /Cannot allocate memory/i,
  /\bENOMEM\b/,
];

/** Whether an error message, or a line that a process has written, says that memory ran out. */
export function saysOutOfMemory(text: string): boolean {
  return SIGNS.some((sign) => sign.test(text));
}

/**
 * Returns an error message that says what ran out of memory, how much the process held, and what helps.
 * @param what a clause, for example `the job ran out of memory (std::bad_alloc)`
 * @param residentBytes size of the process's resident set; null if it is not known
 */
export function outOfMemoryMessage(what: string, residentBytes: number | null): string {
  const size =
    residentBytes === null ? '' : `, with ${Math.round(residentBytes / 2 ** 20)} MiB resident when last seen`;
  return `${what}${size}: use a smaller batch size, run fewer workers on this machine, or give this one more memory`;
}
