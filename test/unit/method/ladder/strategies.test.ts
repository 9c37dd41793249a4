import { describe, expect, it } from 'vitest';
import { matmulTransposed } from '../../../../core/linalg/matmul.ts';
import { matrix, scaleColumns, type Matrix } from '../../../../core/linalg/matrix.ts';
import type { ModuleEvolution } from '../../../../core/method/evolution/evolution.ts';
import type { Coefficients } from '../../../../core/method/fusion/coefficients.ts';
import { fineTunedStrategy, type CandidateRecord } from '../../../../core/method/ladder/candidate.ts';
import type { FineTuneRequest } from '../../../../core/method/ladder/ladder-context.ts';
import type { Strategy } from '../../../../core/options/job-options.ts';
import { DEFAULT_REGULARIZATION } from '../../../../core/method/regularization/regularization.ts';
import { runStrategy } from '../../../../core/method/ladder/strategies.ts';
import { denseTarget, productOf } from '../support/adapters.ts';
import { maxDifference } from '../support/matrices.ts';
import { ids, ToyAdaptation } from '../support/toy-adaptation.ts';
import { NOVEL, run, until } from '../support/toy-runs.ts';

/** U diag(S) Vᵀ. */
function changeOf({ u, s, v, rank, inFeatures, outFeatures }: ModuleEvolution): Matrix {
  return matmulTransposed(scaleColumns(matrix(outFeatures, rank, u), s), matrix(inFeatures, rank, v));
}

describe('relora-paper', () => {
  it('spends its whole budget of evaluations on all rows, and trains in two stages', async () => {
    const toy = new ToyAdaptation(NOVEL);
    const seen: unknown[] = [];
    const context = toy.context();
    const fineTune: typeof context.fineTune = (request) => (
      seen.push(request.regularization),
      context.fineTune(request)
    );
    const regularization = DEFAULT_REGULARIZATION;
    const options = until(1e-9, { steps: 5, search: { evaluations: 7 }, regularization });
    const outcome = await runStrategy('relora-paper', { ...context, fineTune }, options);
    expect(toy.rungs()).toEqual(['search', 'fine_tune']);
    expect(outcome.searchHistory).toHaveLength(7);
    expect(outcome.searchHistory.every(({ rows }) => rows === 6)).toBe(true);
    expect(seen).toEqual([DEFAULT_REGULARIZATION]);
    expect(outcome.best!.strategy).toBe('relora');
  });

  it('pulls towards the fused update before its truncation if it is told to', async () => {
    const toy = new ToyAdaptation(NOVEL);
    const context = toy.context();
    const requests: FineTuneRequest[] = [];
    const fineTune: typeof context.fineTune = (request) => (requests.push(request), context.fineTune(request));
    const regularization = { ...DEFAULT_REGULARIZATION, towards: 'fused' } as const;
    const options = until(1e-9, { steps: 5, regularization });
    const outcome = await runStrategy('relora-paper', { ...context, fineTune }, options);
    const [{ initial, anchor }] = requests as [FineTuneRequest];
    const { alpha, beta } = outcome.candidates.find(({ id }) => id === 'search') as Coefficients & CandidateRecord;
    for (const [name, start] of initial.modules) {
      const [old, change] = [context.oldAdapter.modules.get(name)!, changeOf(context.evolution!.modules.get(name)!)];
      const whole = denseTarget(old, change, alpha, beta);
      expect(maxDifference(productOf(anchor!.modules.get(name)!), whole)).toBeLessThan(1e-5);
      expect(maxDifference(productOf(start), whole)).toBeGreaterThan(1e-3);
    }
  });
});

describe('the strategies', () => {
  it.each<[Strategy, string[], string[]]>([
    ['reuse', ['copy'], ['copy']],
    ['revert', ['revert'], ['revert']],
    ['relora', ['search', 'fine_tune'], ['search', 'fine_tune@5', 'fine_tune@10']],
    ['warm-start', ['copy', 'fine_tune'], ['copy', 'fine_tune@5', 'fine_tune@10']],
    ['scratch', ['scratch'], ['scratch@5', 'scratch@10']],
  ])('%s tries %j', async (strategy, rungs, candidates) => {
    const toy = new ToyAdaptation(NOVEL);
    const outcome = await run(strategy, toy, until(1e-9, { steps: 10 }));
    expect(toy.rungs()).toEqual(rungs);
    expect(ids(outcome.candidates)).toEqual(candidates);
    expect(outcome.candidates.at(-1)!.strategy).toBe(strategy);
  });

  it('train from scratch without coefficients, from an adapter that does nothing', async () => {
    const outcome = await run('scratch', new ToyAdaptation(NOVEL), until(0.5, { steps: 200 }));
    expect(outcome).toMatchObject({ ready: true, strategy: 'scratch', alpha: null, beta: null });
  });

  it.each<Strategy>(['revert', 'relora', 'relora-paper'])('%s needs the evolution', async (strategy) => {
    const context = { ...new ToyAdaptation().context(), evolution: null };
    await expect(runStrategy(strategy, context, until(0.1))).rejects.toMatchObject({ code: 'evolution_required' });
  });

  it('auto does without the evolution', async () => {
    const toy = new ToyAdaptation(NOVEL);
    await runStrategy('auto', { ...toy.context(), evolution: null }, until(1e-9, { steps: 5 }));
    expect(toy.rungs()).toEqual(['copy', 'fine_tune']);
  });

  it('hold fine-tuning back by L2 towards the initial adapter', async () => {
    const distance = async (strong: number) => {
      const toy = new ToyAdaptation(NOVEL);
      const regularization = { ...DEFAULT_REGULARIZATION, strong, relaxed: strong };
      const outcome = await run('relora', toy, until(1e-9, { steps: 20, search: { evaluations: 1 }, regularization }));
      const last = outcome.candidates.at(-1)!;
      return last.metric.value;
    };
    // With the penalty, the model stays nearer to its start and learns less.
    expect(await distance(0.2)).toBeGreaterThan(2 * (await distance(0)));
  });

  it('are in the phase that they spend their time in', async () => {
    const toy = new ToyAdaptation(NOVEL);
    await run('auto', toy, until(0.1));
    const spent = new Set(toy.phases.filter((entry) => !entry.startsWith('checkpoint')));
    expect([...spent].sort()).toEqual([
      'gate in evaluate',
      'publish in publish',
      'search in initialize',
      'step in fine_tune',
      'watch in fine_tune',
      'watch in initialize',
    ]);
  });
});

it('a fine-tuned copy is a warm start, and one of other coefficients is not', () => {
  expect(fineTunedStrategy({ alpha: 1, beta: 0 })).toBe('warm-start');
  expect(fineTunedStrategy({ alpha: 1, beta: -0.3 })).toBe('relora');
  expect(fineTunedStrategy({ alpha: null, beta: null })).toBe('scratch');
});
