import { spawnSync } from 'node:child_process';

/** Explanation for skipping clock faults where `FAKETIME` is empty. */
export const NO_FAKETIME = "faketime is not installed (Debian's package faketime)";

/**
 * Library that fakes a process's clock, for `LD_PRELOAD`; empty if it is not installed. The command `faketime` does not
 * work here: it stays the parent of the process, so killing it leaves the process alive.
 */
export const FAKETIME =
  spawnSync('faketime', ['now', 'printenv', 'LD_PRELOAD'], { encoding: 'utf8' }).stdout?.trim() ?? '';
