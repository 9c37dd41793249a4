import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { BaseCache } from '../../../../core/engine/base-cache.ts';
import { JobWatch } from '../../../experiments/measurement/job-watch.ts';
import { cellsIn, runTiny } from '../support/run-tiny.ts';
import { tinyExperiment } from '../support/tiny-experiment.ts';

let out = '';
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(out, { recursive: true, force: true });
});

/** Experiment in which no candidate passes the gate, so that adapters of both origins are trained. */
const inInt8 = (yaml: string): string =>
  `${yaml.replace('seeds: [1, 2]', 'seeds: [2]').replace('gate: { kind: relative, margin: 0 }, known_old: true, ', '')}
precision: int8
`;

/** Watches the calls of `runAdaptation`. @returns a function that tells whether a job's clock runs */
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
