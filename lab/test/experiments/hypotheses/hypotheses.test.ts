import { describe, expect, it } from 'vitest';
import { evidenceOf, type Evidence } from '../../../experiments/report/hypotheses/evidence.ts';
import { judgeHypotheses } from '../../../experiments/report/hypotheses/hypotheses.ts';
import { judgeTellingTasks } from '../../../experiments/report/hypotheses/telling-tasks.ts';
import { hypothesesSection } from '../../../experiments/report/hypotheses/hypotheses-section.ts';
import { fewFlips, keepsGain } from '../../../experiments/report/hypotheses/old-behaviour.ts';
import { LOOKS, OLD_RIGHT, shareOf, simulateResults, type Size, type World } from '../support/simulated-results.ts';

const SIZE: Size = {
  seeds: 5,
  testRows: 300,
  tasks: ['product-reviews', 'pronunciation', 'home-commands'],
  evolutions: ['neutral', 'helpful'],
};

/** World in which `auto` keeps the old behaviour, gains as much as the published method and is far sooner. */
const GOOD: World = {
  strategies: {
    auto: { loss: 0.01, gain: 0.3, seconds: 5 },
    'auto-alone': { loss: 0.01, gain: 0.3, seconds: 5 },
    paper: { loss: 0.02, gain: 0.28, seconds: 20 },
    scratch: { loss: 0.1, gain: 0.1, published: { loss: 0, gain: 0.1 }, seconds: 100 },
  },
  copy: { loss: 0.25, gain: 0.05 },
  evolutionSeconds: 10,
};

/** World in which `auto` forgets a third of the old behaviour, and takes as long as training from scratch. */
const BAD: World = {
  ...GOOD,
  strategies: {
    ...GOOD.strategies,
    auto: { loss: 0.35, gain: 0, seconds: 100 },
    'auto-alone': { loss: 0.35, gain: 0, seconds: 100 },
  },
};

const judge = (world: World, size: Partial<Size> = {}, seed = 1) =>
  judgeHypotheses(simulateResults(world, { ...SIZE, ...size }, seed).evidence);
const resultsOf = (...asked: Parameters<typeof judge>) =>
  Object.fromEntries(judge(...asked).map(({ id, result }) => [id, result]));
const one = (id: string, ...asked: Parameters<typeof judge>) => judge(...asked).find((found) => found.id === id)!;

/** Sets the times of all jobs to the seconds of their strategies, so that ratios are known exactly. */
function withTimes(evidence: Evidence, seconds: Readonly<Record<string, number>>): Evidence {
  const cells = evidence.cells.map((cell) => {
    const ms = 1000 * seconds[cell.strategy]!;
    const phases = { ...cell.phases!, evaluate: LOOKS * ms };
    return { ...cell, readyMs: cell.state === 'ready' ? ms : null, elapsedMs: ms, phases };
  });
  return { ...evidence, cells };
}

const timesOf = (id: string, evidence: Evidence) =>
  judgeHypotheses(evidence)
    .find((found) => found.id === id)!
    .findings.map(({ value, interval, result }) => ({ value, interval, result }));

describe('the registered hypotheses', () => {
  it('are reached where they are true by far', () => {
    expect(resultsOf(GOOD)).toEqual({
      ...{ H1: 'reached', H2: 'reached', H3: 'reached', H4: 'reached', H5: 'reached', H6: 'reached' },
      ...{ H7: 'reached', H8: 'reached', H9: 'reached' },
    });
    expect(one('H7', GOOD).notes).toEqual([
      '0 of 360 certified publications, of 15 tenants; 360 jobs',
      'without a single case, the upper end is 21.8 %',
    ]);
  });

  it('are missed where they are false by far', () => {
    expect(new Set(Object.values(resultsOf(BAD)))).toEqual(new Set(['missed']));
  });

  it('cannot be judged by a few rows of a few tenants that do not differ', () => {
    const world = { ...GOOD, strategies: { ...GOOD.strategies, paper: GOOD.strategies['auto']! } };
    expect(resultsOf(world, { seeds: 2, testRows: 30, tasks: ['product-reviews'] })).toMatchObject({
      ...{ H1: 'cannot be said', H2: 'missed' },
    });
  });

  it('cannot be judged without jobs', () => {
    const { experiment } = simulateResults(GOOD, { ...SIZE, testRows: 2 }, 1);
    const judgements = judgeHypotheses(evidenceOf(experiment, []));
    expect(judgements.map(({ result }) => result)).toEqual(Array(9).fill('cannot be said'));
    expect(hypothesesSection(judgements, 'simulated').join('\n')).toContain('| H1 |');
  });

  it('have a table with the estimate that decides, and in brackets what stands beside it', () => {
    const evidence = withTimes(simulateResults(GOOD, { ...SIZE, testRows: 40 }, 1).evidence, {
      auto: 5,
      paper: 20,
      scratch: 100,
    });
    const text = hypothesesSection(judgeHypotheses(evidence), 'simulated').join('\n');
    expect(text).toContain(
      '| lower end at least 2 | 4.00 (4.00 to 4.00) times<br>[without looks: 4.00 (4.00 to 4.00) times: reached]<br>' +
        '[with a twentieth of the evolution on both sides: 3.73 (3.73 to 3.73) times: reached] | **reached** |',
    );
    expect(text).toContain(
      '- H2: pairs ready with both 90, with `auto` alone 0, with `paper` alone 0, with neither 0.',
    );
  });
});

it('times with the measurement of the old version stand beside those that decide, if it was made beforehand', () => {
  const { evidence } = simulateResults(GOOD, { ...SIZE, testRows: 2 }, 1);
  const measured = { ...withTimes(evidence, { auto: 5, paper: 20, scratch: 100 }) };
  const cells = measured.cells.map((cell) => ({ ...cell, oldMs: 10_000 }));
  const found = judgeHypotheses({ ...measured, cells }).find(({ id }) => id === 'H2')!.findings;
  expect(found[0]).toMatchObject({ text: '4.00 (4.00 to 4.00) times', decides: true });
  expect(found.filter(({ label }) => label === 'with the old version measured')).toMatchObject([
    { text: '2.00 (2.00 to 2.00) times', decides: false },
  ]);
});

describe('quality', () => {
  it('counts a failed job as the copy, and as not ready at the time that it took', () => {
    const world = { ...GOOD, strategies: { ...GOOD.strategies, auto: { loss: 0, gain: 1, seconds: 5, failed: 1 } } };
    const [found] = one('H1', world).findings;
    // The copy loses 0.25 · 0.8 and gains 0.05 · 0.2, the other 0.02 · 0.8 and 0.28 · 0.2. A row of ROUGE-L is worth
    // 0.6.
    expect(found!.value).toBeCloseTo((-0.19 - 0.04) * (2.6 / 3), 1);
    expect(one('H2', world)).toMatchObject({ result: 'missed', findings: [{ value: 0 }, { value: 0 }, { value: 0 }] });
    expect(one('H2', world).notes).toEqual([
      'pairs ready with both 0, with `auto` alone 0, with `paper` alone 90, with neither 0',
    ]);
  });

  it('is judged with the copy, too, where more than one pair in twenty has no candidate, and the worse counts', () => {
    const worlds = [0.02, 0.3].map((share): World => {
      const auto = { ...GOOD.strategies['auto']!, ready: 1 - share, withoutCandidate: 1 };
      return { ...GOOD, strategies: { ...GOOD.strategies, auto } };
    });
    const [few, many] = worlds.map((world) => one('H1', world, {}, 2));
    expect(few!.findings.map(({ label }) => label)).toEqual(['']);
    expect(few!.notes[0]).toMatch(/^90 pairs, [1-4] of them without a candidate$/);
    expect(many!.findings.map(({ label, result }) => [label, result])).toEqual([
      ['', 'reached'],
      ['the copy where there is no candidate', 'missed'],
    ]);
    expect(many!.result).toBe('missed');
  });

  it('is judged at 64 and at 256 rows, each by itself, and at all rows', () => {
    const { evidence } = simulateResults(GOOD, SIZE, 1);
    const worse = evidence.cells.map((cell) =>
      cell.strategy === 'auto' && cell.rows === 256 ? { ...cell, final: evidence.copy(cell) } : cell,
    );
    const found = judgeHypotheses({ ...evidence, cells: worse });
    const [, , , , small, all] = found;
    expect(small!.findings.map(({ label, result }) => [label, result])).toEqual([
      ['64 rows', 'reached'],
      ['256 rows', 'missed'],
    ]);
    expect([small!.result, all!.result]).toEqual(['missed', 'reached']);
  });
});

describe('times', () => {
  const { evidence } = simulateResults({ ...GOOD, evolutionSeconds: 20 }, { ...SIZE, testRows: 20 }, 1);
  const timed = withTimes(evidence, { auto: 10, 'auto-alone': 10, paper: 30, scratch: 100 });

  it('have the whole time of the evolution for one adapter and a twentieth in a fleet, with looks and without', () => {
    const exactly = (value: number, result: string) => ({
      value: expect.closeTo(value),
      interval: [expect.closeTo(value), expect.closeTo(value)],
      result,
    });
    expect(timesOf('H2', timed)).toEqual([
      ...[exactly(3, 'reached'), exactly(3, 'reached')],
      exactly(31 / 11, 'reached'),
    ]);
    expect(timesOf('H3', timed)).toEqual([exactly(100 / 11, 'reached'), exactly(60 / 7, 'missed')]);
    expect(timesOf('H4', timed)).toEqual([exactly(100 / 30, 'missed'), exactly(60 / 26, 'missed')]);
  });

  it('refute nothing where the other was not ready and its budget is too short to say', () => {
    const cut = timed.cells.map((cell) =>
      cell.strategy === 'scratch' ? { ...cell, state: 'not_ready' as const, readyMs: null } : cell,
    );
    const found = judgeHypotheses({ ...timed, cells: cut }).find(({ id }) => id === 'H4')!;
    expect(found.findings[0]).toMatchObject({ text: '≥ 3.33 (≥ 3.33 to ≥ 3.33) times', result: 'cannot be said' });
    expect(found.notes).toEqual([
      'pairs ready with both 0, with `auto-alone` alone 90, with `scratch` alone 0, with neither 0',
    ]);
  });

  it('of a fleet take the jobs with all rows, and say on how many tenants, each of which bears a twentieth', () => {
    const slower = timed.cells.map((cell) => ({
      ...cell,
      readyMs: cell.readyMs! * (cell.strategy === 'auto' ? 10 : 1),
    }));
    const ofSome = (cells: Evidence['cells']) => ({ ...timed, cells });
    const few = ofSome(timed.cells.map((cell, i) => (cell.rows === 1500 ? cell : slower[i]!)));
    expect(timesOf('H3', few)).toEqual(timesOf('H3', timed));
    expect(timesOf('H2', few)[0]!.value).toBeLessThan(1);
    const all = ofSome(timed.cells.map((cell, i) => (cell.rows === 1500 ? slower[i]! : cell)));
    expect(timesOf('H3', all)[0]!.value).toBeLessThan(1);
    const note = (evidence: Evidence) =>
      judgeHypotheses(evidence)
        .find(({ id }) => id === 'H3')!
        .notes.at(-1);
    expect(note(timed)).toBe(
      "judged on 15 tenants, each of whose jobs bears a twentieth of the evolution's computation",
    );
    const three = ofSome(timed.cells.filter(({ seed }) => seed === 101));
    expect(note(three)).toMatch(/^judged on 3 tenants,/);
    expect(timesOf('H3', three)[0]!.value).toBeCloseTo(100 / 11);
  });
});

describe('a task that tells nothing', () => {
  const { evidence } = simulateResults(GOOD, { ...SIZE, testRows: 40 }, 1);
  const withOld = (value: number): Evidence => {
    const old: Evidence['old'] = (cell) => {
      const score = evidence.old(cell);
      return score && (cell.task === 'home-commands' ? { ...score, value } : score);
    };
    return { ...evidence, old };
  };

  it.each([0.98, 0.14])('with old adapters at %s stands beside what the others decide', (value) => {
    const others = { ...evidence, cells: evidence.cells.filter(({ task }) => task !== 'home-commands') };
    const expected = judgeHypotheses(others);
    judgeTellingTasks(withOld(value)).forEach((judgement, i) => {
      const { findings, result, notes } = expected[i]!;
      expect(judgement.result).toBe(result);
      expect(judgement.findings.slice(0, findings.length)).toEqual(findings);
      const beside = judgement.findings.slice(findings.length);
      expect(beside.length).toBeGreaterThan(0);
      expect(beside.every((one) => !one.decides && one.label.startsWith('home-commands alone'))).toBe(true);
      expect(judgement.notes).toEqual([
        ...notes,
        `home-commands does not decide: its old adapters have ${(100 * value).toFixed(1)} % on their own base`,
      ]);
    });
  });

  it.each([0.97, 0.15])('is none with old adapters at %s', (value) => {
    expect(judgeTellingTasks(withOld(value))).toEqual(judgeHypotheses(withOld(value)));
  });
});

describe('what is kept of the old version', () => {
  const small: Size = { seeds: 4, testRows: 60, tasks: ['product-reviews', 'home-commands'], rows: [64] };
  const world: World = {
    strategies: { auto: { loss: 0.1, gain: 0.3, seconds: 5 }, scratch: { loss: 0.05, gain: 0.6, seconds: 50 } },
    copy: { loss: 0.3, gain: 0 },
    tenantsDiffer: true,
  };
  const settings = 'baselines: []';
  const holds = (truth: number, judged: typeof fewFlips) =>
    shareOf(200, (seed) => {
      const [found] = judged(simulateResults(world, { ...small, settings }, seed).evidence).findings;
      return found!.interval![0] <= truth && truth <= found!.interval![1];
    });

  it('has, of flips less a quarter of the copy’s, an interval that holds the truth in 95 of 100 experiments', () => {
    const share = holds(OLD_RIGHT * (0.1 - 0.3 / 4), fewFlips);
    // 200 experiments have a standard error of 1.5 points.
    expect(share).toBeGreaterThan(0.915);
    expect(share).toBeLessThan(0.995);
  });

  it('has, of the gain less 80 % of the best one, an interval that holds the truth in 95 of 100 experiments', () => {
    const gained = ({ loss, gain }: { loss: number; gain: number }) => (1 - OLD_RIGHT) * gain - OLD_RIGHT * loss;
    const share = holds(gained(world.strategies['auto']!) - 0.8 * gained(world.strategies['scratch']!), keepsGain);
    expect(share).toBeGreaterThan(0.915);
    expect(share).toBeLessThan(0.995);
  });

  it('takes the copy as the best where it is better than training from scratch', () => {
    const better = { ...world, copy: { loss: 0, gain: 1 } };
    const [found] = keepsGain(simulateResults(better, { ...small, testRows: 400, settings }, 1).evidence).findings;
    expect(found!.value).toBeCloseTo(0.2 * 0.3 - 0.8 * 0.1 - 0.8 * 0.2, 1);
  });

  it('leaves out metrics that judge no rows, and jobs without a candidate, and says how many are left', () => {
    const auto = { ...world.strategies['auto']!, ready: 0.5, withoutCandidate: 1 };
    const { evidence } = simulateResults({ ...world, strategies: { auto } }, { ...SIZE, settings }, 1);
    const left = evidence.cells.filter(({ task, final }) => task !== 'pronunciation' && final !== null).length;
    expect(left).toBeGreaterThan(20);
    expect(fewFlips(evidence).notes).toEqual([
      `${left} of 90 jobs: those with a candidate whose metric judges rows right or wrong`,
    ]);
  });
});
