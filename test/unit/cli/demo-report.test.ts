import { expect, test } from 'vitest';
import { FLEET } from '../../../cli/demo/fleet.ts';
import {
  createReport,
  endedWithoutErrors,
  median,
  renderReport,
  type ReportedJob,
  type ReportedRollout,
} from '../../../cli/demo/report.ts';

const rollout: ReportedRollout = { id: 'rol_1', state: 'completed', summary: { makespan_ms: 9000 } };

function job(changes: Partial<ReportedJob>): ReportedJob {
  return {
    adapter_id: 'adp_1',
    kind: 'adaptation',
    state: 'ready',
    won_strategy: 'revert',
    fusion_alpha: 1,
    fusion_beta: -1,
    metric: {
      name: 'accuracy',
      target: 0.7,
      old: 0.7,
      anchor: 0.72,
      none: 0.25,
      copy: 0.4,
      published: 0.71,
      best: 0.71,
    },
    certificate: { verdict: 'passed', confidence: 0.95, margin: 0.04, rows: 400, looks: 1, rows_needed: null },
    ttr_ms: 3000,
    phases: {
      queue_wait: 1000,
      held: 0,
      prepare: 500,
      evolution: 500,
      initialize: 0,
      fine_tune: 0,
      evaluate: 900,
      publish: 100,
    },
    ...changes,
  };
}

const control = job({
  kind: 'control',
  state: 'not_ready',
  ttr_ms: null,
  phases: {
    queue_wait: 50_000,
    held: 0,
    prepare: 1000,
    evolution: 0,
    initialize: 0,
    fine_tune: 6000,
    evaluate: 1000,
    publish: 0,
  },
  metric: {
    name: 'accuracy',
    target: 0.7,
    old: 0.7,
    anchor: 0.72,
    none: null,
    copy: null,
    published: null,
    best: 0.66,
  },
});
const fleet = new Map([['adp_1', FLEET.find((entry) => entry.adapter === 'news-topics')!]]);

test('a control is compared by its work, as if it had stood in its adapter’s place in the queue', () => {
  const [row] = createReport(rollout, [job({}), control], fleet).rollout.adapters;
  expect(row).toMatchObject({ tenant: 'acme', task: 'agnews', strategy: 'revert', ttr_ms: 3000, speed_up: 4 });
  expect(row!.control).toEqual({ ttr_ms: 9000, ready: false, metric: 0.66 });
  expect(Object.values(row!.phases).reduce((a, b) => a + b)).toBe(3000);
});

test('without a control there is neither a control nor a speed-up', () => {
  const [row] = createReport(rollout, [job({})], fleet).rollout.adapters;
  expect(row).toMatchObject({ control: null, speed_up: null });
});

test.each([
  ['passed', /certified +400/],
  ['inconclusive', /inconclusive +400/],
] as const)('a verdict of %s is shown with the number of rows', (verdict, shown) => {
  const certificate = { ...job({}).certificate!, verdict };
  expect(renderReport(createReport(rollout, [job({ certificate })], fleet))).toMatch(shown);
});

test('the version that the margin counts from and the critical slices are shown', () => {
  const slice = {
    name: 'technology',
    margin: 0.1,
    certify: false,
    verdict: 'passed',
    rows: 98,
    bound: -0.08,
    rows_needed: null,
  } as const;
  const slices = [{ ...slice, value: 0.7, old: 0.75 }];
  const text = renderReport(createReport(rollout, [job({ certificate: { ...job({}).certificate!, slices } })], fleet));
  expect(text).toMatch(/^adapter +anchor /);
  expect(text).toMatch(/acme\/news-topics +72\.0 +25\.0/);
  expect(text).toContain('technology passed -5.0');
});

test('a control that never got ready is shown as a lower bound', () => {
  const text = renderReport(createReport(rollout, [job({}), control], fleet));
  expect(text).toContain('> 9.0 s');
  expect(text).toContain('> 4.0×');
});

test.each<[ReportedJob['state'], ReportedRollout['state'], boolean]>([
  ['ready', 'completed', true],
  ['not_ready', 'completed', true],
  ['failed', 'completed', false],
  ['ready', 'failed', false],
])('a job that is %s in a rollout that is %s ends the demo honestly: %s', (state, rolloutState, honest) => {
  const jobs = [job({ state })];
  const report = createReport({ ...rollout, state: rolloutState }, jobs, fleet);
  expect(endedWithoutErrors(report, jobs)).toBe(honest);
});

test('the median of an even number of values lies between the middle two', () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([])).toBeNull();
});
