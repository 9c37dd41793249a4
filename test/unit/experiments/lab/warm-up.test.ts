import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { SOFT_TARGETS } from '../../../../core/adaptation/distillation/soft-targets.ts';
import { BaseCache } from '../../../../core/engine/base-cache.ts';
import { ProgramRuntime } from '../../../../core/engine/call/program-runtime.ts';
import { JobWatch } from '../../../../experiments/lab/job-watch.ts';
import { cellsIn, runTiny } from '../support/run-tiny.ts';
import { tinyExperiment } from '../support/tiny-experiment.ts';

let out = '';
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(out, { recursive: true, force: true });
});

/** Nothing passes the gate, so that adapters of both origins are trained. */
const inInt8 = (yaml: string): string =>
  `${yaml.replace('seeds: [1, 2]', 'seeds: [2]').replace('gate: { kind: relative, margin: 0 }, known_old: true, ', '')}
precision: int8
`;

/** @returns whether a job's clock runs */
function clock(): () => 'before' | 'within' {
  let when: 'before' | 'within' = 'before';
  const { time } = JobWatch.prototype;
  vi.spyOn(JobWatch.prototype, 'time').mockImplementation(async function (this: JobWatch, job) {
    when = 'within';
    return time.call(this, job).finally(() => (when = 'before'));
  });
  return () => when;
}

it('compares int8 with float32 before the clock of a job starts, for losses and both kinds of gradients', async () => {
  out = await mkdtemp(path.join(tmpdir(), 'readapt-warm-up-'));
  const asked: Record<'before' | 'within', Set<string>> = { before: new Set(), within: new Set() };
  const when = clock();
  const { rowErrors } = BaseCache.prototype;
  vi.spyOn(BaseCache.prototype, 'rowErrors').mockImplementation(function (this: BaseCache, base, kind, compare) {
    asked[when()].add(kind);
    return rowErrors.call(this, base, kind, compare);
  });
  const records = await runTiny(tinyExperiment(inInt8), out);
  expect(cellsIn(records).map(({ state }) => state)).not.toContain('failed');
  const kindsOf = (kinds: ReadonlySet<string>) => new Set([...kinds].map((kind) => kind.replace(/ [\d-].*/, '')));
  expect(kindsOf(asked.within)).toEqual(new Set(['losses', 'gradients carried', 'gradients fresh']));
  expect([...asked.within].filter((kind) => !asked.before.has(kind))).toEqual([]);
});

/** Only the strategy that fine-tunes learns soft targets, and the gate sees no difference that would keep it from training. */
const withSoftTargets = (yaml: string): string =>
  yaml
    .replace(
      '{ max_steps: 4 }, gate: { kind: relative, margin: 0 }, known_old: true',
      '{ max_steps: 4, distill: soft }',
    )
    .replace('seeds: [1, 2]', 'seeds: [2]');

it('compiles what soft targets need before the clock of a job starts, on both bases', async () => {
  out = await mkdtemp(path.join(tmpdir(), 'readapt-warm-up-'));
  const learned: Record<'before' | 'within', Set<number>> = { before: new Set(), within: new Set() };
  const labelled = { before: 0, within: 0 };
  const when = clock();
  const { gradients, logits } = ProgramRuntime.prototype;
  vi.spyOn(ProgramRuntime.prototype, 'gradients').mockImplementation(function (this: ProgramRuntime, ...call) {
    learned[when()].add(call[1].targets?.perLabel ?? 0);
    return gradients.apply(this, call);
  });
  vi.spyOn(ProgramRuntime.prototype, 'logits').mockImplementation(function (this: ProgramRuntime, ...call) {
    labelled[when()] += 1;
    return logits.apply(this, call);
  });
  const records = await runTiny(tinyExperiment(withSoftTargets), out);
  expect(cellsIn(records).map(({ state }) => state)).not.toContain('failed');
  // A fresh adapter learns completions, and the old version's successor learns its eight tokens beside the row's own.
  expect(learned.within).toEqual(new Set([0, SOFT_TARGETS]));
  expect([...learned.within].filter((targets) => !learned.before.has(targets))).toEqual([]);
  expect(labelled.within).toBeGreaterThan(0);
  expect(labelled.before).toBeGreaterThan(0);
});
