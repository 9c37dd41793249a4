import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { shareOfEqual } from './report/statistics.ts';
import { Side } from './sides/side.ts';
import { isReadapt, type Generated, type SideName, type StepProfile, type Timed } from './sides/side-protocol.ts';
import type { Batching, Figure, PromptBatch, WorkBatch, Workload } from './workload.ts';

export interface MeasureOptions {
  readonly sides: readonly SideName[];
  /** Path of the Python interpreter, or null to measure Readapt alone. */
  readonly python: string | null;
  /** Folder of the base model. */
  readonly base: string;
  /** Folder of the adapter that every side trains. */
  readonly adapter: string;
  /** Folder of the adapter that every side generates with. */
  readonly generationAdapter: string;
  readonly threads: number;
  readonly rounds: number;
  readonly workload: Workload;
  readonly log: (line: string) => void;
}

/** Figures of one process from its start through the first pass over the batches, in seconds and bytes. */
export interface StartFigures {
  /** Time from the start of the process to the end of its first training step, loading and compilation included. */
  readonly firstStep: number;
  /** Steps of the first pass through the training batches, compilation included. */
  readonly training: readonly Timed[];
  readonly evaluation: readonly Timed[];
  readonly generation: readonly Pick<Generated, 'seconds' | 'tokens'>[];
  /** Highest resident set after the training batches and before any evaluation or generation. */
  readonly peakMemory: number;
}

/** Seconds of each batch, by round. */
export type Rounds = Readonly<Record<Figure, readonly (readonly number[])[]>>;

/** Measurements of one side on one workload, in seconds and bytes. */
export interface SideMeasurement {
  readonly name: SideName;
  /** Precision of the frozen base, as the side reports it. */
  readonly precision: string;
  /**
   * Figures of Readapt's first process, which starts with an empty graph cache. Null for PyTorch, which has no cache.
   */
  readonly cold: StartFigures | null;
  /** Figures of the process that stays for the rounds. Readapt's uses the graphs that the first process cached. */
  readonly cached: StartFigures;
  /** Rounds in which PyTorch gets batches of rows of similar length, and Readapt rows in random order. */
  readonly grouped: Rounds;
  /** Rounds in which all sides get rows in random order. */
  readonly unsorted: Rounds;
  /** Share of the tokens generated in the first pass that equal those of PyTorch in f32; null without PyTorch. */
  readonly equalTokens: number | null;
  readonly versions: Readonly<Record<string, string>>;
  /** Profile of the batch with the most tokens; null for PyTorch. */
  readonly profile: StepProfile | null;
}

/** Process that has gone through the training batches once. */
interface StartedSide {
  readonly side: Side;
  readonly precision: string;
  readonly firstStep: number;
  readonly warmUp: readonly Timed[];
}

/** Process that stays for the rounds, with the figures of its cold start. */
interface Contestant extends StartedSide {
  readonly cold: StartFigures | null;
}

/** Figures of a start, and the token ids of each text generated in the first pass. */
interface FirstPass {
  readonly figures: StartFigures;
  readonly texts: readonly (readonly number[])[];
}

type MutableRounds = Record<Figure, number[][]>;

const LEARNING_RATE = 1e-4;
const PROFILED_STEPS = 3;
const METHODS = { training: 'step', evaluation: 'evaluate' } as const;

/**
 * Measures all sides on one workload, each in a process of its own. Readapt is started twice: once for the cold
 * figures, and once to stay. The processes that stay go through every batch alone first; then they take turns, round by
 * round, so that other load on the machine meets all of them.
 */
export async function measureSides(options: MeasureOptions): Promise<SideMeasurement[]> {
  const graphs = await mkdtemp(path.join(tmpdir(), 'readapt-graphs-'));
  const contestants: Contestant[] = [];
  try {
    for (const name of options.sides) {
      const cache = path.join(graphs, name);
      const cold = isReadapt(name) ? await measureCold(name, cache, options) : null;
      contestants.push({ ...(await start(name, cache, options)), cold });
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
    const { figures } = await firstPass({ side, firstStep, warmUp }, options.workload);
    options.log(`${name}: first step ${firstStep.toFixed(1)} s after the first start`);
    return figures;
  } finally {
    await side.stop();
  }
}

/** Reads the peak of memory, and then evaluates and generates for the first time, on the same batches for all sides. */
async function firstPass(
  { side, firstStep, warmUp }: Pick<StartedSide, 'side' | 'firstStep' | 'warmUp'>,
  workload: Workload,
): Promise<FirstPass> {
  const peakMemory = await side.call('peak_memory', {});
  const evaluation = await pass(side, 'evaluation', workload, 'grouped');
  const generated = await generationPass(side, workload, 'grouped');
  const generation = generated.map(({ seconds, tokens }) => ({ seconds, tokens }));
  return {
    figures: { firstStep, training: warmUp, peakMemory, evaluation, generation },
    texts: generated.flatMap(({ tokenIds }) => tokenIds),
  };
}

/** Starts a process and trains on each batch once. All sides get the same batches here. */
async function start(name: SideName, graphCache: string, options: MeasureOptions): Promise<StartedSide> {
  const { python, base, adapter, generationAdapter: generation_adapter, threads, workload } = options;
  const side = new Side(name, { python, graphCache });
  try {
    const params = { base, adapter, generation_adapter, threads, learning_rate: LEARNING_RATE };
    const { precision } = await side.call('load', params);
    const asked = name.slice(name.indexOf('-') + 1);
    if (asked !== 'auto' && precision !== asked) throw new Error(`${name} computes in ${precision}, expected ${asked}`);
    const [first, ...others] = workload.training.grouped;
    const warmUp = [await timedBatch(side, 'training', first!)];
    const firstStep = (performance.now() - side.started) / 1000;
    for (const batch of others) warmUp.push(await timedBatch(side, 'training', batch));
    return { side, precision, firstStep, warmUp };
  } catch (error) {
    await side.stop();
    throw error;
  }
}

async function takeTurns(contestants: readonly Contestant[], options: MeasureOptions): Promise<SideMeasurement[]> {
  const grouped = contestants.map((): MutableRounds => ({ training: [], evaluation: [], generation: [] }));
  const unsorted = contestants.map((): MutableRounds => ({ training: [], evaluation: [], generation: [] }));
  const play = (figure: Figure, batching: Batching) =>
    playRounds(contestants, { figure, batching, results: batching === 'grouped' ? grouped : unsorted }, options);
  await play('training', 'grouped');
  const first: FirstPass[] = [];
  for (const contestant of contestants) first.push(await firstPass(contestant, options.workload));
  const reference = first[contestants.findIndex(({ side }) => side.name === 'torch-f32')];
  await play('evaluation', 'grouped');
  await play('generation', 'grouped');
  await play('training', 'unsorted');
  await play('evaluation', 'unsorted');
  await play('generation', 'unsorted');
  const results: SideMeasurement[] = [];
  for (const [i, { side, precision, cold }] of contestants.entries()) {
    const versions = await side.call('versions', {});
    const profile = await profileOf(side, options.workload);
    const { figures: cached, texts } = first[i]!;
    const equalTokens = reference ? shareOfEqual(texts, reference.texts) : null;
    const rounds = { grouped: grouped[i]!, unsorted: unsorted[i]! };
    results.push({ name: side.name, precision, cold, cached, ...rounds, equalTokens, versions, profile });
  }
  return results;
}

interface Play {
  readonly figure: Figure;
  readonly batching: Batching;
  /** Destination of the times, by contestant. */
  readonly results: readonly MutableRounds[];
}

/** Lets the sides take turns. Readapt does not pad, so it always gets rows in random order. */
async function playRounds(
  contestants: readonly Contestant[],
  { figure, batching, results }: Play,
  { workload, rounds, log }: MeasureOptions,
): Promise<void> {
  for (let round = 1; round <= rounds; round++) {
    for (const [i, { side }] of contestants.entries()) {
      const batches = isReadapt(side.name) ? 'unsorted' : batching;
      const timed =
        figure === 'generation'
          ? await generationPass(side, workload, batches)
          : await pass(side, figure, workload, batches);
      results[i]![figure].push(timed.map(({ seconds }) => seconds));
    }
    log(`${figure}, ${batching} batches, round ${round} of ${rounds}`);
  }
}

async function pass(
  side: Side,
  figure: keyof typeof METHODS,
  workload: Workload,
  batching: Batching,
): Promise<Timed[]> {
  const all: Timed[] = [];
  for (const batch of workload[figure][batching]) all.push(await timedBatch(side, figure, batch));
  return all;
}

/** @throws Error if the side counts another number of tokens than it was given: its speed would not be comparable */
async function timedBatch(side: Side, figure: keyof typeof METHODS, { examples, tokens }: WorkBatch): Promise<Timed> {
  const timed = await side.call(METHODS[figure], { examples });
  requireTokens(side, figure, timed.tokens, tokens);
  return timed;
}

async function generationPass(side: Side, { generation }: Workload, batching: Batching): Promise<Generated[]> {
  const all: Generated[] = [];
  for (const batch of generation[batching]) all.push(await generatedBatch(side, batch));
  return all;
}

/** @throws Error if the side generates more or fewer tokens than it was asked for */
async function generatedBatch(side: Side, { prompts, newTokens, tokens }: PromptBatch): Promise<Generated> {
  const generated = await side.call('generate', { prompts, new_tokens: newTokens });
  requireTokens(side, 'generation', generated.tokens, tokens);
  return generated;
}

function requireTokens(side: Side, figure: Figure, found: number, expected: number): void {
  if (found !== expected) throw new Error(`${side.name} counts ${found} tokens in ${figure}, expected ${expected}`);
}

async function profileOf(side: Side, { training }: Workload): Promise<StepProfile | null> {
  if (!isReadapt(side.name)) return null;
  const { examples } = training.unsorted.reduce((a, b) => (b.tokens > a.tokens ? b : a));
  return side.call('profile', { examples, steps: PROFILED_STEPS });
}
