import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Side } from './side.ts';
import type { SideName, StepProfile, Timed } from './side-protocol.ts';
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

/** One process of a side, from its start over the first pass through the batches. Seconds and bytes. */
export interface StartFigures {
  /** From the process's start to the end of its first training step: code, weights, compilation and all. */
  readonly firstStep: number;
  /** The first pass through the batches, step by step: compilation included. */
  readonly training: readonly Timed[];
  readonly evaluation: readonly Timed[];
  /** Highest resident set after the training batches, before any evaluation. */
  readonly peakMemory: number;
}

/** What one side was seen to do at one batch size. Seconds and bytes. */
export interface SideMeasurement {
  readonly name: SideName;
  /** What the frozen base was computed in, as the side says. */
  readonly precision: string;
  /** The first process of the side: with an empty graph cache. */
  readonly cold: StartFigures;
  /** The second one, which found what the first had cached. Its memory is that after all training rounds. */
  readonly cached: StartFigures;
  /** Seconds of each batch, by round. */
  readonly training: readonly (readonly number[])[];
  readonly evaluation: readonly (readonly number[])[];
  readonly versions: Readonly<Record<string, string>>;
  /** Of the batch with most tokens; only the engine has one. */
  readonly profile: StepProfile | null;
}

interface Contestant {
  readonly side: Side;
  readonly precision: string;
  readonly firstStep: number;
  readonly warmUp: readonly Timed[];
}

const LEARNING_RATE = 1e-4;
const PROFILED_STEPS = 3;

/**
 * All sides in turn. Each is started twice in a process of its own for this batch size: once for the cold figures, then
 * to stay. Those go through every batch once alone; then the rounds go A B C A B C …
 */
export async function measureSides(options: MeasureOptions): Promise<SideMeasurement[]> {
  const graphs = await mkdtemp(path.join(tmpdir(), 'readapt-graphs-'));
  const contestants: Contestant[] = [];
  try {
    const cold: StartFigures[] = [];
    for (const name of options.sides) cold.push(await measureCold(name, path.join(graphs, name), options));
    for (const name of options.sides) contestants.push(await start(name, path.join(graphs, name), options));
    return await takeTurns(contestants, cold, options);
  } finally {
    for (const { side } of contestants) await side.stop();
    await rm(graphs, { recursive: true, force: true });
  }
}

async function measureCold(name: SideName, graphCache: string, options: MeasureOptions): Promise<StartFigures> {
  const { side, firstStep, warmUp } = await start(name, graphCache, options);
  try {
    const peakMemory = await side.call('peak_memory', {});
    const evaluation = await pass(side, 'evaluate', options.workload.evaluation);
    options.log(`${name}: first step ${firstStep.toFixed(1)} s after the first start`);
    return { firstStep, training: warmUp, evaluation, peakMemory };
  } finally {
    await side.stop();
  }
}

/** Starts a process and sends every training batch through it once. */
async function start(name: SideName, graphCache: string, options: MeasureOptions): Promise<Contestant> {
  const { python, base, adapter, threads, workload } = options;
  const side = new Side(name, { python, graphCache });
  try {
    const { precision } = await side.call('load', { base, adapter, threads, learning_rate: LEARNING_RATE });
    const asked = name.slice(name.indexOf('-') + 1);
    if (asked !== 'auto' && precision !== asked) throw new Error(`${name} computes in ${precision}, expected ${asked}`);
    const [first, ...rest] = workload.training;
    const firstTimed = await pass(side, 'step', [first!]);
    const firstStep = (performance.now() - side.started) / 1000;
    return { side, precision, firstStep, warmUp: [...firstTimed, ...(await pass(side, 'step', rest))] };
  } catch (error) {
    await side.stop();
    throw error;
  }
}

async function takeTurns(
  contestants: readonly Contestant[],
  cold: readonly StartFigures[],
  { workload, rounds, log }: MeasureOptions,
): Promise<SideMeasurement[]> {
  const round = async (method: 'step' | 'evaluate', batches: readonly WorkBatch[]) => {
    const timed: Timed[][] = [];
    for (const { side } of contestants) timed.push(await pass(side, method, batches));
    return timed;
  };
  const training: Timed[][][] = [];
  for (let i = 1; i <= rounds; i++) {
    training.push(await round('step', workload.training));
    log(`training round ${i} of ${rounds}`);
  }
  const peaks: number[] = [];
  for (const { side } of contestants) peaks.push(await side.call('peak_memory', {}));
  const first = await round('evaluate', workload.evaluation);
  const evaluation: Timed[][][] = [];
  for (let i = 1; i <= rounds; i++) {
    evaluation.push(await round('evaluate', workload.evaluation));
    log(`evaluation round ${i} of ${rounds}`);
  }
  const results: SideMeasurement[] = [];
  for (const [i, { side, precision, firstStep, warmUp }] of contestants.entries()) {
    results.push({
      name: side.name,
      precision,
      cold: cold[i]!,
      cached: { firstStep, training: warmUp, evaluation: first[i]!, peakMemory: peaks[i]! },
      training: training.map((timed) => timed[i]!.map(({ seconds }) => seconds)),
      evaluation: evaluation.map((timed) => timed[i]!.map(({ seconds }) => seconds)),
      versions: await side.call('versions', {}),
      profile: await profileOf(side, workload),
    });
  }
  return results;
}

/** @throws Error where the side counts other tokens than it was given: its tokens a second would compare with nothing */
async function pass(side: Side, method: 'step' | 'evaluate', batches: readonly WorkBatch[]): Promise<Timed[]> {
  const all: Timed[] = [];
  for (const { examples, tokens } of batches) {
    const timed = await side.call(method, { examples });
    if (timed.tokens !== tokens)
      throw new Error(`${side.name} ${method} counts ${timed.tokens} tokens, expected ${tokens}`);
    all.push(timed);
  }
  return all;
}

async function profileOf(side: Side, { training }: Workload): Promise<StepProfile | null> {
  if (!side.name.startsWith('readapt')) return null;
  const { examples } = training.reduce((a, b) => (b.tokens > a.tokens ? b : a));
  return side.call('profile', { examples, steps: PROFILED_STEPS });
}
