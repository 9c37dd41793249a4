import { Side } from './side.ts';
import { median } from './statistics.ts';
import type { SideName, StepProfile } from './side-protocol.ts';
import type { WorkBatch, Workload } from './workload.ts';

export interface MeasureOptions {
  readonly sides: readonly SideName[];
  readonly python: string | null;
  readonly base: string;
  readonly adapter: string;
  readonly threads: number;
  readonly rounds: number;
  readonly workload: Workload;
  readonly log: (line: string) => void;
}

/** One side's figures at one batch size. */
export interface SideResult {
  readonly name: SideName;
  /** Seconds from the process's start to the end of its first step. */
  readonly firstStep: number;
  /** Seconds that a shape's first step takes beyond later ones: by shape. */
  readonly compile: readonly number[];
  /** Real tokens a second, by round. */
  readonly training: readonly number[];
  readonly evaluation: readonly number[];
  /** Bytes: after training, before any evaluation. */
  readonly peakMemory: number;
  /** Of the warm-up's steps, which all sides take from the same adapter. */
  readonly losses: readonly number[];
  readonly versions: Readonly<Record<string, string>>;
  readonly profile?: StepProfile;
}

interface Contestant {
  readonly side: Side;
  readonly firstStep: number;
  readonly warmUp: readonly { readonly seconds: number; readonly loss: number }[];
  /** Seconds of each step, by round. */
  readonly steps: number[][];
  readonly passes: number[][];
}

const LEARNING_RATE = 1e-4;

/**
 * All sides in turn. Each has a process of its own for this batch size; it is started and warmed up alone (every batch
 * once), then the rounds go A B C A B C …
 */
export async function measureSides(options: MeasureOptions): Promise<SideResult[]> {
  const { workload, rounds, log } = options;
  const contestants: Contestant[] = [];
  try {
    for (const name of options.sides) contestants.push(await start(name, options));
    for (let round = 1; round <= rounds; round++) {
      for (const { side, steps } of contestants) steps.push(await takeTurn(side, 'step', workload.training));
      log(`training round ${round} of ${rounds}`);
    }
    const peaks: number[] = [];
    for (const { side } of contestants) peaks.push(await side.call('peak_memory', {}));
    for (const { side } of contestants) await takeTurn(side, 'evaluate', workload.evaluation);
    for (let round = 1; round <= rounds; round++) {
      for (const { side, passes } of contestants) passes.push(await takeTurn(side, 'evaluate', workload.evaluation));
      log(`evaluation round ${round} of ${rounds}`);
    }
    const results: SideResult[] = [];
    for (const [i, contestant] of contestants.entries()) results.push(await toResult(contestant, peaks[i]!, workload));
    return results;
  } finally {
    for (const { side } of contestants) await side.stop();
  }
}

async function start(name: SideName, { python, base, adapter, threads, workload, log }: MeasureOptions): Promise<Contestant> {
  const side = new Side(name, python);
  await side.call('load', { base, adapter, threads, learning_rate: LEARNING_RATE });
  const warmUp = [await side.call('step', { examples: workload.training[0]!.examples })];
  const firstStep = (performance.now() - side.started) / 1000;
  for (const { examples } of workload.training.slice(1)) warmUp.push(await side.call('step', { examples }));
  log(`${name}: first step after ${firstStep.toFixed(1)} s`);
  return { side, firstStep, warmUp, steps: [], passes: [] };
}

async function takeTurn(side: Side, method: 'step' | 'evaluate', batches: readonly WorkBatch[]): Promise<number[]> {
  const seconds: number[] = [];
  for (const { examples } of batches) seconds.push((await side.call(method, { examples })).seconds);
  return seconds;
}

async function toResult(contestant: Contestant, peakMemory: number, workload: Workload): Promise<SideResult> {
  const { side, firstStep, warmUp, steps, passes } = contestant;
  const longest = workload.training.reduce((a, b) => (b.tokens > a.tokens ? b : a));
  const profile = side.name === 'readapt' ? await side.call('profile', { examples: longest.examples, steps: 3 }) : undefined;
  return {
    name: side.name,
    firstStep,
    compile: compileSeconds(workload.training, warmUp, steps),
    training: steps.map((seconds) => rate(workload.training, seconds)),
    evaluation: passes.map((seconds) => rate(workload.evaluation, seconds)),
    peakMemory,
    losses: warmUp.map(({ loss }) => loss),
    versions: await side.call('versions', {}),
    ...(profile && { profile }),
  };
}

function compileSeconds(
  batches: readonly WorkBatch[],
  warmUp: readonly { readonly seconds: number }[],
  steps: readonly (readonly number[])[],
): number[] {
  return batches.flatMap(({ shape }, i) => {
    const isFirst = batches.findIndex((batch) => batch.shape === shape) === i;
    return isFirst ? [warmUp[i]!.seconds - median(steps.map((seconds) => seconds[i]!))] : [];
  });
}

function rate(batches: readonly WorkBatch[], seconds: readonly number[]): number {
  const tokens = batches.reduce((total, batch) => total + batch.tokens, 0);
  return tokens / seconds.reduce((total, value) => total + value, 0);
}
