/** Code of every failure for want of memory, whoever notices it. */
export const OUT_OF_MEMORY = 'out_of_memory';

/** How V8, the C++ library, ONNX Runtime (on Linux, macOS, Windows) and the system say that there is no more memory. */
const SIGNS = [
  /\bout of memory\b/i,
  /Array buffer allocation failed/i,
  /\bbad[_ ]alloc/i,
  /Failed to allocate memory/i,
  /Cannot allocate memory/i,
  /\bENOMEM\b/,
];

/** Whether the text of an error, or a line of standard error, says that memory ran out. */
export function saysOutOfMemory(text: string): boolean {
  return SIGNS.some((sign) => sign.test(text));
}

/**
 * What happened, how large the process was, and what to do.
 * @param what a clause, for example `the job ran out of memory (std::bad_alloc)`
 * @param residentBytes null where it is not known
 */
export function outOfMemoryMessage(what: string, residentBytes: number | null): string {
  const size =
    residentBytes === null ? '' : `, with ${Math.round(residentBytes / 2 ** 20)} MiB resident when last seen`;
  return `${what}${size}: use a smaller batch size, run fewer workers on this machine, or give this one more memory`;
}
