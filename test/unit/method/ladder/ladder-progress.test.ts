import { describe, expect, it } from 'vitest';
import { ladderDocument } from '../../../../core/method/ladder/ladder-document.ts';
import type { LadderProgress } from '../../../../core/method/ladder/ladder-state.ts';
import { ToyAdaptation } from '../support/toy-adaptation.ts';
import { killAtEveryCall, NOVEL, run, until } from '../support/toy-runs.ts';

const told = (toy: ToyAdaptation): LadderProgress[] =>
  toy.events.flatMap((event) => (event.type === 'ladder' ? [event.ladder] : []));
const untimed = (ladder: LadderProgress) => {
  const { rungs, candidates, ...rest } = ladderDocument(ladder);
  return {
    ...rest,
    rungs: rungs.map(({ ms: _, ...rung }) => rung),
    candidates: candidates.map(({ elapsed_ms: _, ...candidate }) => candidate),
  };
};

describe('the ladder that a run tells', () => {
  it('is at the end what the outcome says', async () => {
    const toy = new ToyAdaptation(NOVEL);
    const outcome = await run('auto', toy, until(0.1));
    const last = told(toy).at(-1)!;
    expect(last).toMatchObject({ current: null, publishedId: outcome.published!.id, ended: false });
    expect(last.rungs).toEqual(outcome.rungs);
    expect(last.candidates).toEqual(outcome.candidates);
  });

  it('names the rung that the run is on, and leaves open what it has not come to', async () => {
    const toy = new ToyAdaptation(NOVEL);
    await run('auto', toy, until(0.1));
    const first = ladderDocument(told(toy)[0]!);
    expect(first).toMatchObject({ ended: false, current_rung: 'revert', published_candidate: null, candidates: [] });
    expect(first.rungs.map(({ rung, result, reason }) => [rung, result, reason])).toEqual(
      ['revert', 'search', 'copy', 'fine_tune', 'scratch'].map((rung) => [rung, null, null]),
    );
    const ended = ladderDocument({ ...told(toy).at(-1)!, ended: true });
    expect(ended.rungs.at(-1)).toMatchObject({ rung: 'scratch', result: 'not_run', reason: 'fine_tune passed' });
    expect(ended.rungs[1]).toMatchObject({ rung: 'search', looks: 1 });
  });

  it('is the same at the end wherever the run was killed', async () => {
    const { whole, resumed } = await killAtEveryCall('auto', NOVEL, until(0.3, { refineSteps: 10, steps: 30 }));
    const expected = untimed(told(whole.toy).at(-1)!);
    expect(expected.candidates.length).toBeGreaterThan(2);
    for (const { toy } of resumed) expect(untimed(told(toy).at(-1)!)).toEqual(expected);
  });

  it('is told again before anything else where a run resumes', async () => {
    let killed = false;
    const toy = new ToyAdaptation({
      ...NOVEL,
      before: (call) => {
        if (killed || !call.startsWith('step')) return;
        killed = true;
        throw new Error('killed');
      },
    });
    await expect(run('auto', toy, until(0.1))).rejects.toThrow('killed');
    const before = told(toy).at(-1)!.candidates;
    expect(before.length).toBeGreaterThan(0);
    // The receiver may have died before it stored the report.
    toy.events.length = 0;
    await run('auto', toy, until(0.1));
    expect(toy.events[0]).toMatchObject({ type: 'ladder', ladder: { current: null, ended: false } });
    expect(told(toy)[0]!.candidates).toEqual(before);
  });

  it('keeps the first and the last of very many candidates, and counts the others', async () => {
    const toy = new ToyAdaptation(NOVEL);
    await run('auto', toy, until(0.1));
    const last = told(toy).at(-1)!;
    const [first] = last.candidates;
    const candidates = Array.from({ length: 250 }, (_, i) => ({ ...first!, id: `copy@${i}` }));
    const document = ladderDocument({ ...last, candidates });
    expect(document.candidates).toHaveLength(100);
    expect(document.candidates_left_out).toBe(150);
    expect(document.candidates.map(({ id }) => id)).toEqual(
      [...candidates.slice(0, 50), ...candidates.slice(200)].map(({ id }) => id),
    );
    expect(document.rungs[0]!.looks).toBe(250);
  });

  it('has no number that JSON cannot hold', async () => {
    const toy = new ToyAdaptation(NOVEL);
    await run('auto', toy, until(0.1));
    const last = told(toy).at(-1)!;
    const diverged = last.candidates.map((candidate) => ({
      ...candidate,
      bound: Number.NaN,
      metric: { ...candidate.metric, value: Number.NaN, standardError: Number.POSITIVE_INFINITY },
    }));
    const document = ladderDocument({ ...last, candidates: diverged });
    expect(JSON.parse(JSON.stringify(document))).toEqual(document);
    expect(document.candidates[0]!.gate).toMatchObject({ value: null, bound: null, standard_error: null });
  });
});
