import { spawnSync } from 'node:child_process';

/** Why clocks cannot be set where `FAKETIME` is empty. */
export const NO_FAKETIME = "faketime is not installed (Debian's package faketime)";

/**
 * The library by which the clock of a process is set, for `LD_PRELOAD`; empty where it is not installed. The command `faketime` is not
 * used for it, because it stays the parent of what it runs: who kills it leaves that alive.
 */
export const FAKETIME =
  spawnSync('faketime', ['now', 'printenv', 'LD_PRELOAD'], { encoding: 'utf8' }).stdout?.trim() ?? '';
