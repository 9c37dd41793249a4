import type { Rounds, SideMeasurement } from '../measure.ts';
import { summarized, type BenchDocument, type WorkloadResult } from './document.ts';

/**
 * Joins runs on one model. Runs on different rows stand beside each other. Runs on the same batches add their rounds to
 * the first of them, whose other figures are kept.
 * @throws Error if models, machines or versions differ, or a run has no figures of generation
 */
export function joinDocuments([first, ...others]: readonly [BenchDocument, ...BenchDocument[]]): BenchDocument {
  for (const each of [first, ...others]) requireGeneration(each);
  for (const other of others) {
    for (const field of ['model', 'adapter', 'threads', 'machine', 'versions'] as const)
      requireEqual(field, first, other);
  }
  const all = [first, ...others];
  const last = others.at(-1) ?? first;
  return {
    ...first,
    command: [...new Set(all.map(({ command }) => command))].join('; '),
    finished: last.finished,
    load: [first.load[0], last.load[1]],
    results: joinResults(all.flatMap(({ results }) => results)),
  };
}

/** Refuses runs by an earlier version of the benchmark, which did not measure generation. */
function requireGeneration({ command, started, results }: BenchDocument): void {
  if (results.every(({ workload }) => 'generation' in workload)) return;
  throw new Error(
    `the run "${command}" of ${started.slice(0, 10)} has no figures of generation, which the benchmark did not ` +
      'measure then; run it again to report it',
  );
}

function requireEqual(field: keyof BenchDocument, first: BenchDocument, other: BenchDocument): void {
  const [a, b] = [JSON.stringify(first[field]), JSON.stringify(other[field])];
  if (a !== b) throw new Error(`the runs cannot be joined: their ${field} are ${a} and ${b}, expected the same`);
}

function joinResults(results: readonly WorkloadResult[]): WorkloadResult[] {
  const joined = new Map<string, WorkloadResult>();
  for (const result of results) {
    const key = JSON.stringify([result.rows, result.workload, result.sides.map(({ name }) => name)]);
    const earlier = joined.get(key);
    joined.set(key, earlier ? withRoundsOf(earlier, result) : result);
  }
  return [...joined.values()];
}

function withRoundsOf(earlier: WorkloadResult, later: WorkloadResult): WorkloadResult {
  const { rows, batchSize, steps, newTokens, workload } = earlier;
  const sides = earlier.sides.map((side, i): SideMeasurement => {
    const more = later.sides[i]!;
    return { ...side, grouped: together(side.grouped, more.grouped), unsorted: together(side.unsorted, more.unsorted) };
  });
  const rounds = earlier.rounds + later.rounds;
  return summarized({ rows, batchSize, steps, newTokens, rounds }, workload, sides);
}

function together(a: Rounds, b: Rounds): Rounds {
  return {
    training: [...a.training, ...b.training],
    evaluation: [...a.evaluation, ...b.evaluation],
    generation: [...a.generation, ...b.generation],
  };
}
