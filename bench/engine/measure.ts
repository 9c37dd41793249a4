import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Side } from './sides/side.ts';
import type { SideName, StepProfile, Timed } from './sides/side-protocol.ts';
import type { WorkBatch, Workload } from './workload.ts';

export interface MeasureOptions {
  readonly sides: readonly SideName[];
  /** Path of the Python interpreter; null measures Readapt alone. */
  readonly python: string | null;
  /** Folder of the base model. */
  readonly base: string;
  /** Folder of the adapter that every side starts from. */
  readonly adapter: string;
  readonly threads: number;
  readonly rounds: number;
  readonly workload: Workload;
  readonly log: (line: string) => void;
}

/** What one process of a side took, from its start through the first pass over the batches. Seconds and bytes. */
export interface StartFigures {
  /** Time from the start of the process to the end of its first training step, loading and compilation included. */
  readonly firstStep: number;
  /** The steps of the first pass through the training batches, compilation included. */
  readonly training: readonly Timed[];
  readonly evaluation: readonly Timed[];
  /** Highest resident set after the training batches and before any evaluation. */
  readonly peakMemory: number;
}

/** The measurements of one side at one batch size. Seconds and bytes. */
export interface SideMeasurement {
  readonly name: SideName;
  /** The precision that the side computes the frozen base in, as the side reports it. */
  readonly precision: string;
  /** Figures of the first process, which finds an empty graph cache. */
  readonly cold: StartFigures;
  /** Figures of the second process, which finds what the first cached. Its memory is that after all training rounds. */
  readonly cached: StartFigures;
  /** Seconds of each batch, by round. */
  readonly training: readonly (readonly number[])[];
  readonly evaluation: readonly (readonly number[])[];
  readonly versions: Readonly<Record<string, string>>;
  /** Profile of the batch with the most tokens; null for PyTorch. */
  readonly profile: StepProfile | null;
}

/** A process that has gone through the training batches once. */
interface StartedSide {
  readonly side: Side;
  readonly precision: string;
  readonly firstStep: number;
  readonly warmUp: readonly Timed[];
}

/** A process that stays for the rounds, with what has been measured so far. */
interface Contestant extends StartedSide {
  readonly cold: StartFigures;
  readonly training: number[][];
  readonly evaluation: number[][];
}

const LEARNING_RATE = 1e-4;
const PROFILED_STEPS = 3;

/**
 * Measures all sides at one batch size. Each side is started twice, in a process of its own: once for the cold figures,
 * and once to stay. The processes that stay go through every batch alone first; then they take turns, round by round, so
 * that other load on the machine meets all of them.
 */
export async function measureSides(options: MeasureOptions): Promise<SideMeasurement[]> {
  const graphs = await mkdtemp(path.join(tmpdir(), 'readapt-graphs-'));
  const contestants: Contestant[] = [];
  try {
    const started: { readonly name: SideName; readonly cold: StartFigures }[] = [];
    for (const name of options.sides)
      started.push({ name, cold: await measureCold(name, path.join(graphs, name), options) });
    for (const { name, cold } of started) {
      const side = await start(name, path.join(graphs, name), options);
      contestants.push({ ...side, cold, training: [], evaluation: [] });
    }
    return await takeTurns(contestants, options);
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
async function start(name: SideName, graphCache: string, options: MeasureOptions): Promise<StartedSide> {
  const { python, base, adapter, threads, workload } = options;
  const side = new Side(name, { python, graphCache });
  try {
    const { precision } = await side.call('load', { base, adapter, threads, learning_rate: LEARNING_RATE });
    const asked = name.slice(name.indexOf('-') + 1);
    if (asked !== 'auto' && precision !== asked) throw new Error(`${name} computes in ${precision}, expected ${asked}`);
    const first = await pass(side, 'step', workload.training.slice(0, 1));
    const firstStep = (performance.now() - side.started) / 1000;
    return {
      side,
      precision,
      firstStep,
      warmUp: [...first, ...(await pass(side, 'step', workload.training.slice(1)))],
    };
  } catch (error) {
    await side.stop();
    throw error;
  }
}

async function takeTurns(
  contestants: readonly Contestant[],
  { workload, rounds, log }: MeasureOptions,
): Promise<SideMeasurement[]> {
  for (let round = 1; round <= rounds; round++) {
    for (const { side, training } of contestants) training.push(secondsOf(await pass(side, 'step', workload.training)));
    log(`training round ${round} of ${rounds}`);
  }
  const cached = new Map<Contestant, Pick<StartFigures, 'peakMemory' | 'evaluation'>>();
  for (const contestant of contestants) {
    const peakMemory = await contestant.side.call('peak_memory', {});
    cached.set(contestant, { peakMemory, evaluation: await pass(contestant.side, 'evaluate', workload.evaluation) });
  }
  for (let round = 1; round <= rounds; round++) {
    for (const { side, evaluation } of contestants)
      evaluation.push(secondsOf(await pass(side, 'evaluate', workload.evaluation)));
    log(`evaluation round ${round} of ${rounds}`);
  }
  const results: SideMeasurement[] = [];
  for (const [contestant, figures] of cached) {
    const { side, precision, cold, firstStep, warmUp, training, evaluation } = contestant;
    const versions = await side.call('versions', {});
    const profile = await profileOf(side, workload);
    const cachedStart = { ...figures, firstStep, training: warmUp };
    results.push({ name: side.name, precision, cold, cached: cachedStart, training, evaluation, versions, profile });
  }
  return results;
}

function secondsOf(timed: readonly Timed[]): number[] {
  return timed.map(({ seconds }) => seconds);
}

/** @throws Error if the side counts other tokens than it was given, for its speed could then be compared with nothing */
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
