/** Codes of the core for what another machine, or the same one later, may do. */
const CORE_FAULTS = new Set(['insufficient_memory', 'missing_file', 'device_unavailable']);

/** What V8, the C++ library and ONNX Runtime say where there is no memory left. */
const NO_MEMORY = /\bout of memory\b|array buffer allocation failed|\bbad[_ ]alloc|(failed to|cannot) allocate memory/i;

/**
 * Whether an error, or a cause of it, says nothing against the job: the system has refused something, such as room on a disk or memory,
 * or a file is gone that was there. The same job may succeed later, so nothing may be recorded of it.
 */
export function isMachineFault(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 10; at = at.cause, depth++) {
    const code = 'code' in at ? String(at.code) : '';
    if (/^E[A-Z]+$/.test(code) || CORE_FAULTS.has(code)) return true;
    if (NO_MEMORY.test(at.message)) return true;
  }
  return false;
}
