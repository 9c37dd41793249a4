import type { Candidate } from '../../../../core/method/ladder/candidate.ts';
import type { LadderOptions, LadderOutcome } from '../../../../core/method/ladder/ladder-state.ts';
import type { Strategy } from '../../../../core/options/job-options.ts';
import { NO_REGULARIZATION } from '../../../../core/method/regularization/regularization.ts';
import { runStrategy } from '../../../../core/method/ladder/strategies.ts';
import { ToyAdaptation, type ToyOptions } from './toy-adaptation.ts';

/** Options of a run that has to reach a loss. */
export const until = (target: number, options: Partial<LadderOptions> = {}): LadderOptions => ({
  gate: { metric: 'loss', kind: 'absolute', target },
  old: null,
  steps: 40,
  evaluateEvery: 5,
  search: { evaluations: 8 },
  regularization: NO_REGULARIZATION,
  ...options,
});

/** Outcome of a run with the origin of its best candidate. */
export interface RunOutcome extends LadderOutcome {
  readonly published: Candidate | null;
  readonly strategy: string | null;
  readonly alpha: number | null;
  readonly beta: number | null;
}

export async function run(strategy: Strategy, toy: ToyAdaptation, options: LadderOptions): Promise<RunOutcome> {
  const outcome = await runStrategy(strategy, toy.context(), options);
  const { best, ready } = outcome;
  const { strategy: made = null, alpha = null, beta = null } = best ?? {};
  return { ...outcome, published: ready ? best : null, strategy: made, alpha, beta };
}

/** A task that fusion cannot solve. */
export const NOVEL: ToyOptions = { novelty: 0.5 };

export interface Ended {
  readonly toy: ToyAdaptation;
  readonly outcome: RunOutcome;
}

/** Runs one uninterrupted job, and for each of its calls one that is killed there and resumes in a new process. */
export async function killAtEveryCall(
  strategy: Strategy,
  task: ToyOptions,
  options: LadderOptions,
): Promise<{ readonly whole: Ended; readonly resumed: readonly Ended[] }> {
  const undisturbed = new ToyAdaptation(task);
  const whole = { toy: undisturbed, outcome: await run(strategy, undisturbed, options) };
  const resumed: Ended[] = [];
  for (let killAt = 0; killAt < undisturbed.phases.length; killAt++) {
    let calls = 0;
    const before = (): void => {
      if (calls++ === killAt) throw new Killed();
    };
    const toy = new ToyAdaptation({ ...task, before });
    await run(strategy, toy, options).catch((error: unknown) => {
      if (!(error instanceof Killed)) throw error;
    });
    resumed.push({ toy, outcome: await run(strategy, toy, options) });
  }
  return { whole, resumed };
}

class Killed extends Error {}

/** Parts of an outcome that must not depend on an interruption. */
export function comparable({ candidates, searchHistory, published, best }: RunOutcome) {
  return {
    candidates: candidates.map(({ elapsedMs: _, ...record }) => record),
    search: searchHistory.map(({ ms: _, ...point }) => point),
    published: published?.adapter,
    best: best?.adapter,
  };
}
