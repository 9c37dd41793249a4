import { availableParallelism, cpus, loadavg } from 'node:os';
import { rowFormatOf } from '../../core/adaptation/setup/row-format.ts';
import { evolutionBetween } from '../../core/adaptation/evolutions.ts';
import { lossesByRow } from '../../core/data/evaluation/measure.ts';
import { labelCount, type TokenizedExample } from '../../core/data/example.ts';
import { loadTaskRows, tokenizeTask } from '../../core/data/task-data.ts';
import type { BaseCache, LoadedBase } from '../../core/engine/base-cache.ts';
import { withOnnxProducts } from '../../core/engine/compiled/onnx-products.ts';
import { loadAdapter } from '../../core/formats/peft/peft-adapter.ts';
import { COPY, REVERT } from '../../core/method/fusion/coefficients.ts';
import { Fusion } from '../../core/method/fusion/fusion.ts';
import { searchOrder } from '../../core/method/search/search-task.ts';
import type { Adapter } from '../../core/models/lora/adapter.ts';
import type { FirstCandidatesOptions } from './options.ts';

const POINTS = { copy: COPY, revert: REVERT, overshoot: { alpha: 1.25, beta: -1.25 } } as const;

/** Number of rows on which candidates are compared before the gate is asked. */
const ROWS = 16;

/** The ways of comparing three candidates. `stacked` bounds one that computes all of them in the same batches. */
export const WAYS = ['separate', 'together', 'stacked'] as const;
export type Way = (typeof WAYS)[number];

export interface FirstCandidatesDocument {
  readonly base: string;
  readonly precision: string;
  readonly machine: { readonly cpu: string; readonly threads: number; readonly load: number };
  /** Input tokens of the rows. */
  readonly tokens: number;
  /** Milliseconds of each round. */
  readonly ms: Readonly<Record<Way, readonly number[]>>;
  /** Milliseconds of fusing revert and the overshoot, what both share included. */
  readonly fusing: number;
  /** Mean loss of each candidate on the first rows, and on four times as many. */
  readonly losses: Readonly<Record<keyof typeof POINTS, readonly [number, number]>>;
}

/** @param bases loads the bases as jobs do */
export async function measureFirstCandidates(
  bases: BaseCache,
  { oldBase, base: folder, adapter: from, validation, rounds }: FirstCandidatesOptions,
): Promise<FirstCandidatesDocument> {
  const base = await bases.load(folder);
  const adapter = await loadAdapter(from, base.model.config);
  const rows = await searchRows(base, adapter, { folder: from, validation, loadOld: () => bases.load(oldBase) });
  const first = rows.slice(0, ROWS);
  const { adapters, fusing } = await fused(bases, adapter, [oldBase, folder]);
  const run = async (which: readonly Adapter[], on: readonly TokenizedExample[]) =>
    lossesByRow(base.runtime, which, on);
  const ways: Readonly<Record<Way, () => Promise<unknown>>> = {
    separate: async () => {
      for (const one of adapters) await run([one], first);
    },
    together: () => run(adapters, first),
    // Other rows, because the engine computes equal beginnings of rows once.
    stacked: () => run(adapters.slice(0, 1), rows.slice(0, ROWS * adapters.length)),
  };
  const ms: Record<Way, number[]> = { separate: [], together: [], stacked: [] };
  for (const way of WAYS) await ways[way]();
  for (let round = 0; round < rounds; round++) {
    for (const way of WAYS) {
      const begun = performance.now();
      await ways[way]();
      ms[way].push(performance.now() - begun);
    }
  }
  const { tokens } = await run(adapters.slice(0, 1), first);
  return {
    base: folder,
    precision: base.precision.precision,
    machine: { cpu: cpus()[0]?.model ?? 'unknown', threads: availableParallelism(), load: loadavg()[0] ?? 0 },
    tokens,
    ms,
    fusing,
    losses: await lossesOf(adapters, [first, rows.slice(0, 4 * ROWS)], run),
  };
}

async function searchRows(
  base: LoadedBase,
  adapter: Adapter,
  from: { readonly folder: string; readonly validation: string; loadOld(): Promise<LoadedBase> },
): Promise<TokenizedExample[]> {
  const rows = await loadTaskRows({ train: null, validation: from.validation });
  const { config } = base.model;
  const format = await rowFormatOf({
    given: {},
    folder: from.folder,
    adapter,
    config,
    loadBase: () => from.loadOld(),
    rows: [...rows.search, ...rows.gate],
    signal: new AbortController().signal,
  });
  const { search } = tokenizeTask(rows, { tokenizer: base.tokenizer, config, ...format }, () => undefined);
  return searchOrder(0, search.length).map((row) => search[row]!);
}

async function fused(bases: BaseCache, adapter: Adapter, [from, to]: readonly [string, string]) {
  return withOnnxProducts(async (products) => {
    const options = { bases, products, signal: new AbortController().signal };
    const [oldBase, newBase] = [await bases.describe(from), await bases.describe(to)];
    const evolution = await evolutionBetween(oldBase.folder, newBase.folder, options);
    const begun = performance.now();
    const fusion = await Fusion.prepare(adapter, evolution, { products });
    const adapters = [adapter, await fusion.at(POINTS.revert), await fusion.at(POINTS.overshoot)];
    return { adapters, fusing: performance.now() - begun };
  });
}

async function lossesOf(
  adapters: readonly Adapter[],
  rows: readonly [readonly TokenizedExample[], readonly TokenizedExample[]],
  run: (which: readonly Adapter[], on: readonly TokenizedExample[]) => ReturnType<typeof lossesByRow>,
): Promise<FirstCandidatesDocument['losses']> {
  const means = await Promise.all(
    rows.map(async (some) => {
      const labels = some.reduce((sum, row) => sum + labelCount(row), 0);
      const { perExample } = await run(adapters, some);
      return perExample.map((losses) => losses.reduce((sum, loss) => sum + loss, 0) / labels);
    }),
  );
  const [few, many] = means as [number[], number[]];
  const of = (which: number): [number, number] => [few[which]!, many[which]!];
  return { copy: of(0), revert: of(1), overshoot: of(2) };
}
