import { readFile } from 'node:fs/promises';

/** How often it is looked at, in milliseconds. */
const INTERVAL_MS = 500;

/** Follows another process' resident set while it lives. */
export interface ResidentSetWatch {
  /** Bytes when last seen; null before the first look, and where there is no /proc. */
  readonly bytes: number | null;
  stop(): void;
}

/**
 * Looks from outside, since a process that computes does not answer. Where the system has no /proc (macOS, Windows),
 * nothing is known.
 */
export function watchResidentSet(pid: number | undefined): ResidentSetWatch {
  let bytes: number | null = null;
  const look = async (): Promise<void> => {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    const found = /^VmRSS:\s+(\d+) kB$/m.exec(status);
    // A process that has just died has no memory: what it had before is what matters.
    if (found) bytes = Number(found[1]) * 1024;
  };
  const timer = setInterval(() => void look(), INTERVAL_MS);
  timer.unref();
  return {
    get bytes() {
      return bytes;
    },
    stop: () => clearInterval(timer),
  };
}
