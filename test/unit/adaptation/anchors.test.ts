import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JobEvent } from '../../../core/adaptation/job-events.ts';
import type { AnchorSpec, JobSpec } from '../../../core/adaptation/job-spec.ts';
import type { GateOutcomes } from '../../../core/adaptation/measurements/gate-outcomes.ts';
import { ReferenceVersion, type ReferenceOptions } from '../../../core/adaptation/measurements/reference-version.ts';
import { runAdaptation } from '../../../core/adaptation/run-adaptation.ts';
import { BaseCache } from '../../../core/engine/base-cache.ts';
import { FormatError } from '../../../core/formats/errors.ts';
import { plainJob } from '../training/support/tiny-job.ts';
import { createTinyFamily, removeTinyFamily, type TinyFamily } from '../training/support/tiny-task.ts';

let family: TinyFamily;
let bases: BaseCache;
/** Adapter on the second base, from which these jobs carry it over, and on the first one, where it is its anchor. */
let [onSecond, onFirst]: GateOutcomes[] = [];
/** Files of the anchor, by which it can be measured. */
let source: AnchorSpec['source'];

beforeAll(async () => {
  family = await createTinyFamily();
  bases = new BaseCache({ threads: 1 });
  source = { adapter: family.adapter, base: family.oldBase };
  onFirst = measuredIn(await run('first', { oldBase: family.oldBase, newBase: family.newBase, anchor: null }));
  onSecond = measuredIn(await run('second', { anchor: null }));
});
afterAll(async () => {
  await bases.dispose();
  await removeTinyFamily(family);
});

/** Runs a job from the second base to the first one. */
async function run(name: string, changes: Partial<JobSpec>) {
  const gate = { kind: 'relative', margin: 10 } as const;
  const [oldBase, newBase] = [family.newBase, family.oldBase];
  const options = { strategy: 'reuse' } as const;
  const spec = plainJob(family, name, { gate, oldBase, newBase, options, baselines: 'needed', ...changes });
  const events: JobEvent[] = [];
  const outcome = await runAdaptation(bases, spec, (event) => void events.push(event), new AbortController().signal);
  return { outcome, events };
}

function measuredIn({ events }: { events: readonly JobEvent[] }): GateOutcomes {
  return events.flatMap((event) => (event.type === 'old_measured' ? [event.outcomes] : []))[0]!;
}

const typesOf = ({ events }: { events: readonly JobEvent[] }) => events.map(({ type }) => type);
const anchor = (changes: Partial<AnchorSpec> = {}): AnchorSpec => ({
  ...{ number: 1, oldNumber: 2, outcomes: onFirst!, source },
  ...changes,
});

test('a margin counts from the anchor, and the last version is left for the report', async () => {
  const job = await run('known', { anchor: anchor() });
  expect(job.outcome.target).toBe(onFirst!.value + 10);
  expect(job.outcome.anchor).toEqual({ version: 'anchor', value: onFirst!.value, outcomes: null });
  expect(job.outcome.baselines.old).toBeNull();
  expect(typesOf(job)).not.toContain('old_measured');
});

test('the last version is told where its outcomes are known, which costs nothing', async () => {
  const job = await run('both known', { anchor: anchor(), oldOutcomes: onSecond! });
  expect(job.outcome).toMatchObject({
    target: onFirst!.value + 10,
    oldKnown: true,
    baselines: { old: onSecond!.value },
  });
});

test('an anchor of other rows is measured anew on its own base', async () => {
  const stale = { ...onFirst!, digest: `sha256:${'0'.repeat(64)}`, value: -100 };
  for (const outcomes of [stale, null]) {
    const job = await run(`stale ${outcomes === null}`, { anchor: anchor({ outcomes }) });
    expect(job.outcome.anchor).toEqual({ version: 'anchor', value: onFirst!.value, outcomes: onFirst });
    expect(job.outcome.warnings).toEqual([]);
  }
});

test.each<[string, () => AnchorSpec['source'], string]>([
  ['is gone', () => null, 'its files or its base are gone'],
  [
    'cannot be read',
    () => ({ ...source!, adapter: path.join(family.folder, 'nothing') }),
    'its files or its base cannot be read',
  ],
  ['has no base', () => ({ ...source!, base: family.adapter }), 'its files or its base cannot be read'],
])('an anchor of other rows that %s gives way to the last version', async (what, from, reason) => {
  const job = await run(what, { anchor: anchor({ outcomes: null, source: from() }) });
  expect(job.outcome.target).toBe(onSecond!.value + 10);
  expect(job.outcome.anchor).toEqual({ version: 'old', value: onSecond!.value, outcomes: null });
  expect(job.outcome.baselines.old).toBe(onSecond!.value);
  expect(job.outcome.warnings).toEqual([
    'the margin counts from version 2, which is carried over, and not from version 1, which was imported: ' +
      `its outcomes on these gate rows are not known, and ${reason}`,
  ]);
  const known = await run(`${what}, known`, {
    anchor: anchor({ outcomes: null, source: from() }),
    oldOutcomes: onSecond!,
  });
  expect(known.outcome).toMatchObject({ oldKnown: true, target: job.outcome.target, warnings: job.outcome.warnings });
  expect(typesOf(known)).not.toContain('old_measured');
});

test('a disk that cannot be read does not make it give way', async () => {
  const cause = Object.assign(new Error('i/o error'), { code: 'EIO' });
  const fault = new FormatError({ code: 'unreadable', file: 'model.safetensors', message: 'cannot be read', cause });
  const failing = { load: () => Promise.reject(fault) } as unknown as BaseCache;
  const gate = { kind: 'relative', margin: 10, metric: 'loss' } as const;
  const told: string[] = [];
  const reference = new ReferenceVersion({
    bases: failing,
    exact: { bases: failing, gate } as ReferenceOptions['exact'],
    spec: { oldBase: family.newBase, anchor: anchor({ outcomes: null }) },
    newVersion: { endOfTextIds: [] },
    knownOld: () => null,
    oldAdapter: {} as ReferenceOptions['oldAdapter'],
    emit: ({ type }) => void told.push(type),
    noteOld: () => undefined,
  });
  await expect(reference.measure()).rejects.toBe(fault);
  expect(reference.isAnchor).toBe(true);
  expect(told).toEqual([]);
});

test('an absolute gate has no anchor, and its limit of flips counts from the last version', async () => {
  const gate = { kind: 'absolute', target: 0, max_negative_flips: 1 } as const;
  const job = await run('absolute', { metric: 'accuracy', gate, anchor: anchor({ outcomes: null, source: null }) });
  expect(job.outcome).toMatchObject({ anchor: null, warnings: [] });
  expect(typesOf(job)).toContain('old_measured');
});

describe('where somebody else than an absolute gate compares with the last version', () => {
  const gate = { kind: 'absolute', target: 0 } as const;
  const publishing = async (name: string, changes: Partial<JobSpec>) => {
    const job = await run(name, { metric: 'accuracy', gate, ...changes });
    const published = job.events.flatMap((event) => (event.type === 'publication' ? [event.candidate] : []));
    const at = typesOf(job).indexOf('old_measured');
    return { ...job, flips: published.map(({ negativeFlips }) => negativeFlips), at };
  };

  test('it is left for the report by default', async () => {
    const { outcome, flips, at } = await publishing('nobody', {});
    expect([outcome.state, outcome.baselines.old, flips, at]).toEqual(['ready', null, [null], -1]);
  });

  test('it is measured after a publication for its value, and before for its rows', async () => {
    const after = await publishing('value', { measuresOld: 'after' });
    expect([after.outcome.baselines.old, after.flips]).toEqual([expect.any(Number), [null]]);
    expect(after.at).toBeGreaterThan(typesOf(after).indexOf('publication'));
    const before = await publishing('rows', { measuresOld: 'before' });
    expect([before.outcome.baselines.old, before.flips]).toEqual([after.outcome.baselines.old, [expect.any(Number)]]);
    expect(before.at).toBeLessThan(typesOf(before).indexOf('publication'));
    // The anchor does not decide, and nothing is compared with an unpublished version.
    expect(before.outcome).toMatchObject({ state: 'ready', target: 0, anchor: null });
    const unready = { gate: { kind: 'absolute', target: 2 } as const, measuresOld: 'after' as const };
    expect((await publishing('unready', unready)).at).toBe(-1);
  });

  test('so is the last version beside an anchor that a margin counts from', async () => {
    const job = await run('beside', { anchor: anchor(), measuresOld: 'after' });
    expect(job.outcome).toMatchObject({ target: onFirst!.value + 10, baselines: { old: onSecond!.value } });
  });
});
