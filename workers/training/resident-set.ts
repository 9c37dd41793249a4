import { readFile } from 'node:fs/promises';

/** Interval between two readings of the memory size, in milliseconds. */
const INTERVAL_MS = 500;

/** Watch on the resident set of another process, which is the memory that this process holds. */
export interface ResidentSetWatch {
  /**
   * Size of the resident set at the last reading, in bytes; null before the first one, and on systems without /proc.
   */
  readonly bytes: number | null;
  stop(): void;
}

/**
 * Reads the memory size of a process at an interval, from outside, because a busy process does not answer. On systems
 * without /proc (macOS, Windows) the size stays unknown.
 */
export function watchResidentSet(pid: number | undefined): ResidentSetWatch {
  let bytes: number | null = null;
  const read = async (): Promise<void> => {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    const found = /^VmRSS:\s+(\d+) kB$/m.exec(status);
    // A process that has just died has no memory any more; keep the reading before its death.
    if (found) bytes = Number(found[1]) * 1024;
  };
  const timer = setInterval(() => void read(), INTERVAL_MS);
  timer.unref();
  return {
    get bytes() {
      return bytes;
    },
    stop: () => clearInterval(timer),
  };
}
