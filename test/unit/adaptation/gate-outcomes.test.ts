import { cp } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runAdaptation } from '../../../core/adaptation/run-adaptation.ts';
import {
  fromOutcomes,
  fromRowOutcomes,
  toOutcomes,
  toRowOutcomes,
  type GateOutcomes,
  type OutcomesSubject,
} from '../../../core/adaptation/measurements/gate-outcomes.ts';
import type { JobEventHandler, Publication } from '../../../core/adaptation/job-events.ts';
import type { JobSpec } from '../../../core/adaptation/job-spec.ts';
import type { ChoiceSet } from '../../../core/data/choices.ts';
import { exampleOf, type TokenizedExample } from '../../../core/data/example.ts';
import { BaseCache } from '../../../core/engine/base-cache.ts';
import { ADAPTER_OUTCOMES } from '../../../core/formats/peft/adapter-outcomes.ts';
import { patchJson } from '../formats/support/folders.ts';
import { bestOf, plainJob } from '../training/support/tiny-job.ts';
import { createTinyFamily, removeTinyFamily, type TinyFamily } from '../training/support/tiny-task.ts';

const row = (promptIds: number[], completionIds: number[]) =>
  exampleOf(promptIds, completionIds, { prompt: '', completion: '' });
const choicesOf = (rests: number[][]): ChoiceSet => ({
  texts: ['a', 'b'],
  indexOf: () => 0,
  tokensOf: () => ({ shared: [0], rests }),
});
const choices = choicesOf([[1], [2]]);
const SUBJECT: OutcomesSubject = {
  metric: 'accuracy',
  precision: 'int8',
  data: { gate: [row([1, 2], [3]), row([4], [5, 6])], choices },
};
const MEASURED = {
  metric: { name: 'accuracy', value: 0.5, standardError: 0.5, rows: 2 },
  outcomes: { values: Float64Array.of(1, 0), tokens: [1, 2] },
} as const;

describe('a stored measurement', () => {
  const kept = JSON.parse(JSON.stringify(toOutcomes(MEASURED, SUBJECT))) as GateOutcomes;

  it('converts back to the same measurement', () => {
    expect(fromOutcomes(kept, SUBJECT)).toEqual({ ...MEASURED, outcomes: { values: [1, 0], tokens: [1, 2] } });
  });

  it.each<[string, Partial<OutcomesSubject>]>([
    ['of another metric', { metric: 'exact_match' }],
    ['of another precision', { precision: 'f32' }],
    ['of texts that end elsewhere', { generation: { maxNewTokens: 9, endOfTextIds: [2] } }],
    ['of other choices', { data: { ...SUBJECT.data, choices: choicesOf([[1], [7]]) } }],
    ['of rows in another order', { data: { ...SUBJECT.data, gate: SUBJECT.data.gate.toReversed() } }],
    ['of rows whose prompts end elsewhere', { data: { ...SUBJECT.data, gate: [row([1], [2, 3]), row([4], [5, 6])] } }],
  ])('is not used for a measurement %s', (_, change) => {
    expect(fromOutcomes(kept, { ...SUBJECT, ...change })).toBeNull();
  });

  const watched = [row([7], [8]), row([7, 8], [9])];
  const onSearch = {
    metric: { name: 'accuracy', value: 0.5, standardError: Math.sqrt(0.5) / 2, rows: 2 },
    outcomes: { values: [0, 1], tokens: [1, 1] },
  } as const;

  it('has the outcomes on the search rows, as long as these are the same', () => {
    const subject = { ...SUBJECT, watched };
    const stored = JSON.parse(JSON.stringify(toOutcomes({ ...MEASURED, onSearch }, subject))) as GateOutcomes;
    expect(fromOutcomes(stored, subject)!.onSearch).toEqual(onSearch);
    for (const other of [undefined, watched.toReversed(), watched.slice(1)]) {
      const found = fromOutcomes(stored, { ...SUBJECT, ...(other && { watched: other }) });
      expect(found).toMatchObject({ metric: MEASURED.metric });
      expect(found).not.toHaveProperty('onSearch');
    }
    expect(fromOutcomes(kept, subject)).not.toHaveProperty('onSearch');
  });

  it('does not depend on choices if its metric does not rank them', () => {
    const subject = { ...SUBJECT, metric: 'loss' } as const;
    expect(toOutcomes(MEASURED, subject)).toEqual(
      toOutcomes(MEASURED, { ...subject, data: { ...SUBJECT.data, choices: null } }),
    );
  });
});

describe('outcomes by row', () => {
  const kept = toRowOutcomes(MEASURED.outcomes.values, SUBJECT);

  it('serve any selection of the rows, in any order', () => {
    const reversed = { ...SUBJECT, data: { ...SUBJECT.data, gate: SUBJECT.data.gate.toReversed() } };
    expect(fromRowOutcomes(kept, reversed)).toMatchObject({
      metric: { value: 0.5, standardError: Math.sqrt(0.5) / 2, rows: 2 },
      outcomes: { values: [0, 1], tokens: [2, 1] },
    });
    const one = { ...SUBJECT, data: { ...SUBJECT.data, gate: SUBJECT.data.gate.slice(0, 1) } };
    expect(fromRowOutcomes(kept, one)).toMatchObject({ metric: { value: 1, rows: 1 }, outcomes: { values: [1] } });
  });

  it('serve search rows, too, if all of them are there', () => {
    const [first, second] = SUBJECT.data.gate as [TokenizedExample, TokenizedExample];
    const one = { ...SUBJECT, data: { ...SUBJECT.data, gate: [first] } };
    expect(fromRowOutcomes(kept, { ...one, watched: [second] })!.onSearch).toMatchObject({
      metric: { value: 0, rows: 1 },
      outcomes: { values: [0], tokens: [2] },
    });
    expect(fromRowOutcomes(kept, { ...one, watched: [second, row([8], [9])] })).not.toHaveProperty('onSearch');
  });

  it('serve no rows beyond them', () => {
    const more = { ...SUBJECT, data: { ...SUBJECT.data, gate: [...SUBJECT.data.gate, row([8], [9])] } };
    expect(fromRowOutcomes(kept, more)).toBeNull();
  });

  it.each<[string, Partial<OutcomesSubject>]>([
    ['another metric', { metric: 'loss' }],
    ['another precision', { precision: 'f32' }],
    ['texts that end elsewhere', { generation: { maxNewTokens: 9, endOfTextIds: [2] } }],
    ['other choices', { data: { ...SUBJECT.data, choices: choicesOf([[1], [7]]) } }],
  ])('serve no measurement of %s', (_, change) => {
    expect(fromRowOutcomes(kept, { ...SUBJECT, ...change })).toBeNull();
  });

  it('do not hold what is not finite', () => {
    expect([...toRowOutcomes([Number.NaN, 1], SUBJECT).values()]).toEqual([1]);
  });
});

describe('a job', () => {
  let family: TinyFamily;
  let bases: BaseCache;
  beforeAll(async () => {
    family = await createTinyFamily();
    bases = new BaseCache({ threads: 1 });
  });
  afterAll(async () => {
    await bases.dispose();
    await removeTinyFamily(family);
  });

  async function run(
    name: string,
    changes: Partial<JobSpec>,
    onPublication: (publication: Publication) => Promise<void> = () => Promise.resolve(),
  ) {
    const old: GateOutcomes[] = [];
    const published: GateOutcomes[] = [];
    const onEvent: JobEventHandler = (event) => {
      if (event.type === 'old_measured') old.push(event.outcomes);
      if (event.type !== 'publication') return;
      published.push(event.outcomes);
      return onPublication(event);
    };
    const gate = { kind: 'relative', margin: 10 } as const;
    const spec = plainJob(family, name, { gate, options: { strategy: 'reuse' }, ...changes });
    return { outcome: await runAdaptation(bases, spec, onEvent, new AbortController().signal), old, published };
  }

  it('measures the old version only if it is not given the outcomes', async () => {
    const first = await run('first', {});
    expect(first.old).toHaveLength(1);
    const second = await run('second', { oldOutcomes: first.old[0]! });
    expect(second.old).toEqual([]);
    expect(second.outcome.target).toBe(first.outcome.target);
    expect(second.outcome.baselines).toEqual(first.outcome.baselines);
    expect(second.published).toEqual(first.published);
    expect(bestOf(second.outcome)).toEqual(bestOf(first.outcome));
  });

  it('trusts the outcomes beside its adapter only if it may, and if they match this adapter and base', async () => {
    const folder = path.join(family.folder, 'with-outcomes');
    const measured = await run('measured', {});
    await run('source', { newBase: family.oldBase }, async ({ folder: from }) => cp(from, folder, { recursive: true }));
    const adapter = { adapter: folder };
    const untrusted = await run('untrusted', adapter);
    expect(untrusted.old).toEqual(measured.old);
    const trusted = await run('trusted', { ...adapter, trustsOutcomes: true });
    expect(trusted.old).toEqual([]);
    expect(trusted.outcome).toMatchObject({ oldKnown: true, target: measured.outcome.target });
    expect(trusted.outcome.baselines).toEqual(measured.outcome.baselines);
    expect(trusted.published).toEqual(measured.published);

    const elsewhere = await run('elsewhere', { ...adapter, oldBase: family.newBase, trustsOutcomes: true });
    expect(elsewhere.outcome.oldKnown).toBe(false);
    expect(elsewhere.old).toHaveLength(1);
    await patchJson(path.join(folder, ADAPTER_OUTCOMES), { adapter_sha256: '0' });
    const another = await run('another', { ...adapter, trustsOutcomes: true });
    expect(another.outcome.oldKnown).toBe(false);
    expect(another.old).toEqual(measured.old);
  });

  it('publishes the outcomes that the next rollout would measure', async () => {
    const { published } = await run('published', {});
    const asOld = await run('next', { oldBase: family.newBase });
    // A version that is published without training is not measured on the search rows.
    const { watched, ...onGate } = asOld.old[0]!;
    expect(watched!.values.length).toBeGreaterThan(0);
    expect(published).toEqual([onGate]);
  });

  it('measures the old version again if the given outcomes are of other rows', async () => {
    const first = await run('other', {});
    const stale = { ...first.old[0]!, digest: `sha256:${'0'.repeat(64)}`, value: -100 };
    const again = await run('again', { oldOutcomes: stale });
    expect(again.old).toEqual(first.old);
    expect(again.outcome.target).toBe(first.outcome.target);
  });

  it('completes its baselines from the given outcomes if the gate does not need them', async () => {
    const gate = { kind: 'absolute', target: 100 } as const;
    const first = await run('absolute', { gate });
    expect(first.old).toHaveLength(1);
    const second = await run('absolute again', { gate, oldOutcomes: first.old[0]! });
    expect(second.old).toEqual([]);
    expect(second.outcome.baselines).toEqual(first.outcome.baselines);
  });
});
