/** Error codes of the core for jobs that may succeed on another machine, or later. */
const CORE_FAULTS = new Set(['insufficient_memory', 'missing_file', 'device_unavailable']);

/** Matches the messages of V8, the C++ library and ONNX Runtime when memory runs out. */
const NO_MEMORY = /\bout of memory\b|array buffer allocation failed|\bbad[_ ]alloc|(failed to|cannot) allocate memory/i;

/**
 * Whether an error, or one of its causes, is the machine's fault and not the job's: no memory, no room on the disk,
 * another system error, or a missing file. The same job may succeed later, so no record may be written of it.
 */
export function isMachineFault(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 10; at = at.cause, depth++) {
    const code = 'code' in at ? String(at.code) : '';
    if (/^E[A-Z]+$/.test(code) || CORE_FAULTS.has(code)) return true;
    if (NO_MEMORY.test(at.message)) return true;
  }
  return false;
}
