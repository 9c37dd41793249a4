import { describe, expect, it } from 'vitest';
import { runStrategy } from '../../../../core/method/ladder/strategies.ts';
import { ToyAdaptation } from '../support/toy-adaptation.ts';
import { comparable, killAtEveryCall, NOVEL, run, until } from '../support/toy-runs.ts';

describe('an interrupted run', () => {
  it('that is killed at any call resumes to the same outcome without repeating an evaluation', async () => {
    const { whole, resumed } = await killAtEveryCall('auto', NOVEL, until(0.3, { refineSteps: 10, steps: 30 }));
    expect(resumed.length).toBeGreaterThan(30);
    for (const { toy, outcome } of resumed) {
      expect(comparable(outcome)).toEqual(comparable(whole.outcome));
      expect(toy.published.at(-1)!.id).toBe(whole.outcome.published!.id);
      // Work that was not yet stored when the process died may be repeated; everything else is not.
      expect(toy.count('gate')).toBeLessThanOrEqual(whole.toy.count('gate') + 1);
      expect(toy.count('search')).toBeLessThanOrEqual(whole.toy.count('search') + 1);
    }
  });

  it('counts its time on', async () => {
    const toy = new ToyAdaptation(NOVEL);
    let clock = 0;
    const ticking = () => ({ ...toy.context(), now: () => (clock += 1) });
    await runStrategy('auto', ticking(), until(1e-9, { steps: 5 }));
    const before = clock;
    const outcome = await runStrategy('auto', ticking(), until(1e-9, { steps: 10 }));
    expect(outcome.elapsedMs).toBeGreaterThanOrEqual(before - 2);
  });

  it('does not take over the state of another strategy', async () => {
    const toy = new ToyAdaptation(NOVEL);
    await run('reuse', toy, until(1e-9));
    await expect(run('auto', toy, until(1e-9))).rejects.toMatchObject({ code: 'invalid_state' });
  });

  it.each(['gate', 'search', 'step', 'publish fine_tune'])('that is aborted during "%s" stops there', async (call) => {
    const toy: ToyAdaptation = new ToyAdaptation({
      ...NOVEL,
      before: (made) => {
        if (made.startsWith(call)) toy.controller.abort(new Error('cancelled by tenant'));
      },
    });
    await expect(run('auto', toy, until(0.3, { refineSteps: 20 }))).rejects.toThrow('cancelled by tenant');
    expect(toy.count(call)).toBeLessThanOrEqual(1);
  });
});
