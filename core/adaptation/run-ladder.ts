import { judge } from '../method/gate/readiness-gate.ts';
import { toRecord, type Candidate } from '../method/ladder/candidate.ts';
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
 * Runs the strategy's ladder. If the best candidate was not measured on all gate rows, because it was certain to fail,
 * the measurement is completed afterwards.
 */
export async function runLadder(context: JobContext, settings: JobSettings, judged: Judged): Promise<LadderResult> {
  const result = await climb(context, settings, judged);
  if (!result.best?.metric.curtailed) return result;
  const look = result.candidates.findIndex(({ id }) => id === result.best?.id) + 1;
  const best = await measureWhole(context, result.best, { ...judged, look });
  const record = toRecord(best);
  return {
    ...result,
    best,
    candidates: result.candidates.map((candidate) => (candidate.id === best.id ? record : candidate)),
    rungs: result.rungs.map((rung) => (rung.candidate?.id === best.id ? { ...rung, candidate: record } : rung)),
  };
}

/**
 * Measures a candidate on all gate rows, whose first measurement ended early, and has the gate judge it as at that
 * look.
 * @param look number of that look, from 1
 */
async function measureWhole(
  context: JobContext,
  candidate: Candidate,
  { gate, old, look }: Judged & { readonly look: number },
): Promise<Candidate> {
  context.phase('evaluate');
  const measured = await context.gateMetric(candidate.adapter, { reference: old, whole: true });
  return { ...candidate, ...judge(gate, old, measured, { total: look, refining: 0 }), ...measured };
}

/**
 * Runs the strategy's ladder. If training diverges after a candidate was judged, the ladder ends with the candidates so
 * far and a problem; if it diverges before, the error is thrown.
 */
async function climb(context: JobContext, settings: JobSettings, judged: Judged): Promise<LadderResult> {
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
