import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Experiment } from '../../../experiments/config/load-experiment.ts';
import type { CellRecord, ResultRecord } from '../../../experiments/records.ts';
import { cellsIn, runTiny } from '../support/run-tiny.ts';
import { tinyExperiment } from '../support/tiny-experiment.ts';

/**
 * Makes a chain of two evolutions. The metric is the loss, by which all adapters differ. One strategy publishes the
 * copy and then a trained adapter for the second version, the other one publishes nothing.
 */
const chained = (yaml: string): string =>
  yaml
    .replace(/evolutions: \[\{ name: v2, base: (.*)\/v2 \}\]/, (_, family: string) =>
      [
        'evolutions:',
        `  - { name: second, base: ${family}/v2 }`,
        `  - { name: third, base: ${family}/v1, parent: second }`,
      ].join('\n'),
    )
    .replace('metric: exact_match', 'metric: loss')
    .replace('seeds: [1, 2]', 'seeds: [1]')
    .replace(
      /strategies:[^]*$/,
      `strategies:
  - name: tuned
    strategy: warm-start
    options: { max_steps: 4, refine_steps: 4 }
    gate: { kind: relative, margin: 5, on_inconclusive: publish }
  - { name: stuck, strategy: warm-start, options: { max_steps: 2 }, gate: { kind: absolute, target: 0.0001 } }
`,
    );

let experiment: Experiment;
let out: string;
let records: readonly ResultRecord[];
beforeAll(async () => {
  experiment = tinyExperiment(chained);
  out = await mkdtemp(path.join(tmpdir(), 'readapt-chain-'));
  records = await runTiny(experiment, out);
});
afterAll(() => rm(out, { recursive: true, force: true }));

function cell(list: readonly ResultRecord[], evolution: string, strategy: string): CellRecord {
  return cellsIn(list).find((one) => one.evolution === evolution && one.strategy === strategy)!;
}

describe('a chain of evolutions', () => {
  it('carries over the adapter that the same strategy published before, or else the own adapter from the base', () => {
    expect(
      cellsIn(records).map(({ evolution, strategy, state, carriedFrom }) => [evolution, strategy, state, carriedFrom]),
    ).toEqual([
      ['second', 'tuned', 'ready', null],
      ['second', 'stuck', 'not_ready', null],
      ['third', 'tuned', 'ready', 'second'],
      ['third', 'stuck', 'not_ready', null],
    ]);
    const copyOf = (strategy: string) =>
      cell(records, 'third', strategy).candidates.find(({ id }) => id === 'copy')!.value;
    expect(copyOf('stuck')).toBe(cell(records, 'second', 'tuned').baselines!.old);
    expect(Math.abs(copyOf('tuned') - copyOf('stuck'))).toBeGreaterThan(0.05);
  });

  it('keeps the outcome of every row, of each look and of the old version, in the order of a look', () => {
    // The third version equals the first one.
    const copy = cell(records, 'third', 'stuck').candidates.find(({ id }) => id === 'copy')!;
    expect(copy.outcomes).toEqual(cell(records, 'second', 'tuned').old);
    expect(copy.outcomes!.scores).toHaveLength(copy.rows!);
    expect(new Set(copy.outcomes!.scores).size).toBeGreaterThan(1);
  });

  it('counts margins from the own adapter on the base, in every link', () => {
    const [second, third] = [cell(records, 'second', 'tuned'), cell(records, 'third', 'tuned')];
    expect(third.target).toBe(second.target);
    expect(second.target).toBe(second.baselines!.old! + 5);
  });

  it('measures the way from the version before and the one from the base', () => {
    const found = records.flatMap((one) => (one.type === 'evolution' ? [one] : []));
    expect(found).toMatchObject([
      { evolution: 'second', from: null },
      { evolution: 'third', from: 'second', direct: [{ from: null, computeMs: expect.any(Number) as number }] },
    ]);
    // The third version equals the first one.
    expect(found[1]!.drift).toBeGreaterThan(0.001);
    expect(found[1]!.direct![0]!.drift).toBe(0);
  });
});

describe('a chain that is run again', () => {
  /** Result of a job without its times. */
  const resultOf = ({ evolution, strategy, carriedFrom, target, candidates, first, final }: CellRecord) => ({
    ...{ evolution, strategy, carriedFrom, target, first, final },
    candidates: candidates.map(({ id, value }) => [id, value]),
  });

  it('goes on between its links with what was published, also if the run died before it was written down', async () => {
    const file = path.join(out, 'results.jsonl');
    const whole = (await readFile(file, 'utf8')).split('\n');
    const parent = whole.findIndex(
      (line) => line.includes('"evolution":"second"') && line.includes('"strategy":"tuned"'),
    );
    for (const kept of [parent, parent + 1]) {
      await writeFile(file, `${whole.slice(0, kept).join('\n')}\n`);
      const again = await runTiny(experiment, out);
      expect(cellsIn(again).map(resultOf)).toEqual(cellsIn(records).map(resultOf));
    }
  });

  it('runs a job again whose published adapter is gone, if a later job needs it', async () => {
    const file = path.join(out, 'results.jsonl');
    const ofTuned = (line: string): boolean => line.includes('"type":"cell"') && line.includes('"strategy":"tuned"');
    const lines = async () => (await readFile(file, 'utf8')).split('\n').slice(0, -1);
    for (const gone of ['versions', 'evolutions']) await rm(path.join(out, gone), { recursive: true });
    const before = await lines();
    await runTiny(experiment, out);
    expect(await lines()).toEqual(before);
    const last = before.findLastIndex((line) => ofTuned(line) && line.includes('"evolution":"third"'));
    await writeFile(
      file,
      before
        .filter((_, i) => i !== last)
        .map((line) => `${line}\n`)
        .join(''),
    );
    const again = await runTiny(experiment, out);
    expect((await lines()).slice(before.length - 1).map((line) => (JSON.parse(line) as ResultRecord).type)).toEqual(
      // Both jobs of the chain, with the differences that they need.
      ['run', 'evolution', 'begun', 'cell', 'evolution', 'begun', 'cell'],
    );
    expect(cell(again, 'third', 'tuned').carriedFrom).toBe('second');
  });
});
