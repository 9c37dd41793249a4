import type { Plan } from './plan.ts';
import type { SyncTimes } from './times.ts';
import type { Workbench } from './workbench.ts';

export interface CarryOutOptions {
  /** Largest number of adapters that are loaded or unloaded at a time. */
  readonly atOnce: number;
  readonly times: Pick<SyncTimes, 'turnMs' | 'resyncMs'>;
  readonly control: { readonly signal: AbortSignal; readonly isStopping: () => boolean };
  /**
   * Asks whether the plan still fits the versions that the replica should serve. Called when the time of a turn is
   * over.
   */
  readonly isUnchanged: () => Promise<boolean>;
}

export interface Progress {
  /** Number of steps of the plan that were tried. A step serves one adapter or unloads one name. */
  readonly made: number;
  /** Number of tried steps of the plan that succeeded. */
  readonly succeeded: number;
}

/**
 * Carries out a plan, a few adapters at a time, until the plan is finished or outdated. The next turn plans again
 * whatever is left. Planning takes time in proportion to the number of all adapters, so a plan that is still valid
 * continues past the end of a turn, but not for so long that a restart of the engine goes unnoticed.
 */
export async function carryOut(
  plan: Plan,
  bench: Workbench,
  { atOnce, times, control, isUnchanged }: CarryOutOptions,
): Promise<Progress> {
  const steps = [
    ...plan.work.map((one) => () => bench.serve(one)),
    ...plan.unload.map((name) => () => bench.unload(name)),
  ].values();
  const progress = { made: 0, succeeded: 0 };
  const latest = performance.now() + times.resyncMs;
  let until = performance.now() + times.turnMs;
  let asked: Promise<boolean> | null = null;
  let isBroken = false;

  async function isTimeLeft(): Promise<boolean> {
    if (performance.now() >= latest) return false;
    if (performance.now() < until) return true;
    asked ??= isUnchanged().then((holds) => {
      until = performance.now() + times.turnMs;
      asked = null;
      return holds;
    });
    return asked;
  }
  const mayGoOn = async (): Promise<boolean> =>
    !isBroken && !control.isStopping() && !control.signal.aborted && (await isTimeLeft());

  async function hand(): Promise<void> {
    for (const step of steps) {
      const hasSucceeded = await step();
      progress.made += 1;
      if (hasSucceeded) progress.succeeded += 1;
      if (!(await mayGoOn())) return;
    }
  }
  const ends = await Promise.allSettled(
    Array.from({ length: atOnce }, () =>
      hand().catch((error: unknown) => {
        isBroken = true;
        throw error;
      }),
    ),
  );
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return progress;
}
