import { describe, expect, it } from 'vitest';
import type { LadderOutcome } from '../../../../core/method/ladder/ladder-state.ts';
import { ids, ToyAdaptation, type ToyOptions } from '../support/toy-adaptation.ts';
import { comparable, killAtEveryCall, NOVEL, run, until } from '../support/toy-runs.ts';

/** One row leaves open what is better: every rung is judged. */
const ONE_ROW: ToyOptions = { searchRows: 1 };

describe('auto: what is clearly worse on the search rows', () => {
  const ROWS: ToyOptions = { searchRows: 64 };
  const reasons = ({ rungs }: LadderOutcome) => Object.fromEntries(rungs.map(({ rung, reason }) => [rung, reason]));

  it('is not judged: copy where revert is better', async () => {
    const toy = new ToyAdaptation(ROWS);
    const outcome = await run('auto', toy, until(toy.metric(toy.old).metric.value / 2));
    expect(toy.calls.filter((call) => call !== 'search')).toEqual(['gate', 'publish revert']);
    expect(ids(outcome.candidates)).toEqual(['revert']);
    expect(reasons(outcome)).toMatchObject({ copy: 'revert is clearly better on the search rows', revert: null });
    expect(outcome.rungs[0]).toMatchObject({ result: 'skipped', candidate: null });
  });

  it('is not judged: revert where copy is better', async () => {
    const toy = new ToyAdaptation({ ...ROWS, bestBeta: 0.2 });
    const outcome = await run('auto', toy, until(1e-9, { steps: 0 }));
    expect(ids(outcome.candidates)[0]).toBe('copy');
    expect(reasons(outcome).revert).toBe('copy is clearly better on the search rows');
  });

  it('is not known from a single row: both are judged', async () => {
    const toy = new ToyAdaptation(ONE_ROW);
    const outcome = await run('auto', toy, until(1e-9, { steps: 0 }));
    expect(ids(outcome.candidates).slice(0, 2)).toEqual(['copy', 'revert']);
    expect(reasons(outcome)).toMatchObject({ copy: null, revert: null });
  });

  it('is measured once: the search goes on from there', async () => {
    const toy = new ToyAdaptation({ ...ROWS, change: 0.6, bestBeta: -0.5 });
    const { searchHistory } = await run('auto', toy, until(1e-9, { steps: 0 }));
    const measured = searchHistory.map(({ alpha, beta, rows }) => `${alpha} ${beta} ${rows}`);
    expect(new Set(measured).size).toBe(measured.length);
    // Copy and revert are compared in one pass over the rows.
    expect(toy.count('search')).toBe(measured.length - 1);
  });

  it('is judged all the same where the new base is preferred: revert is not second there', async () => {
    const toy = new ToyAdaptation(ROWS);
    await run('auto', toy, until(0.01, { prefer: 'new_base' }));
    expect(toy.calls[0]).toBe('gate');
  });

  it('stays so for a run that is killed at any call', async () => {
    const { whole, resumed } = await killAtEveryCall('auto', { ...NOVEL, ...ROWS }, until(1e-9, { steps: 5 }));
    expect(ids(whole.outcome.candidates)[0]).toBe('revert');
    for (const { toy, outcome } of resumed) {
      expect(comparable(outcome)).toEqual(comparable(whole.outcome));
      expect(toy.count('search')).toBeLessThanOrEqual(whole.toy.count('search') + 1);
    }
  });
});
