import type { LadderOptions, LadderOutcome } from '../method/ladder/ladder-state.ts';
import { reportRungs, runStrategy } from '../method/ladder/strategies.ts';
import type { JobSettings } from '../options/job-settings.ts';
import { TrainingDivergedError } from '../training/loss-monitor.ts';
import type { JobContext } from './job-context.ts';
import type { JobOutcome } from './job-outcome.ts';
import { ladderOptions } from './setup/job-setup.ts';

/** Result of a strategy's ladder. If divergence ended it early, `problem` says so. */
export interface LadderResult extends Pick<LadderOutcome, 'ready' | 'best' | 'candidates' | 'rungs'> {
  readonly problem?: JobOutcome['problem'];
}

type Judged = Pick<LadderOptions, 'gate' | 'old' | 'refineSteps'>;

/**
 * Runs the strategy's ladder. If training diverges after a candidate was judged, the ladder ends, and the result has a
 * problem beside the candidates judged so far. If training diverges earlier, the error is thrown.
 */
export async function runLadder(context: JobContext, settings: JobSettings, judged: Judged): Promise<LadderResult> {
  try {
    return await runStrategy(settings.strategy, context, { ...ladderOptions(settings), ...judged });
  } catch (error) {
    const { reached } = context;
    if (!(error instanceof TrainingDivergedError) || !reached?.best) throw error;
    context.report({ type: 'warning', message: error.message });
    const { publishedId, candidates } = reached.state;
    const rungs = reportRungs(reached.state, settings.prefer);
    const problem = { code: error.code, message: error.message };
    return { ready: publishedId !== null, best: reached.best, candidates, rungs, problem };
  }
}
