import type { SideMeasurement } from './measure.ts';
import type { SideName } from './side-protocol.ts';
import { median, summarize, summarizeRatios, type Summary } from './statistics.ts';
import type { WorkBatch, Workload } from './workload.ts';

/** Everything of one run, as it is written with `--json`. Seconds, bytes, tokens a second. */
export interface BenchDocument {
  /** What was typed. */
  readonly command: string;
  /** RFC 3339, UTC. */
  readonly started: string;
  readonly finished: string;
  readonly model: { readonly name: string; readonly parameters: number };
  readonly adapter: { readonly method: 'lora'; readonly rank: number; readonly modules: readonly string[] };
  readonly rounds: number;
  readonly steps: number;
  readonly threads: number;
  readonly machine: Machine;
  /** By name: node, onnxruntime-node, torch … */
  readonly versions: Readonly<Record<string, string>>;
  /** One-minute load average before and after. */
  readonly load: readonly [number, number];
  readonly goals: typeof GOALS;
  readonly batches: readonly BatchResult[];
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memory: number;
  readonly system: string;
}

export interface BatchResult {
  readonly batchSize: number;
  readonly workload: Readonly<Record<'training' | 'evaluation', readonly BatchSize[]>>;
  readonly sides: readonly SideResult[];
  /** Each of our sides against the best PyTorch mode of each figure; empty where Python is missing. */
  readonly ratios: readonly Ratios[];
}

type BatchSize = Pick<WorkBatch, 'tokens' | 'longest'> & { readonly rows: number };

export interface SideResult extends SideMeasurement {
  readonly summary: {
    /** Tokens a second. */
    readonly training: Summary;
    readonly evaluation: Summary;
    readonly compile: Readonly<Record<'cold' | 'cached', Compilation>>;
    /** Matrix products' share of a profiled step; null without a profile. */
    readonly products: number | null;
  };
}

/** Seconds that the first pass through the batches took beyond the median of later ones. */
type Compilation = Readonly<Record<'training' | 'evaluation', number>>;

type Against = { readonly against: SideName };

export interface Ratios {
  readonly side: SideName;
  readonly training: Summary & Against;
  readonly evaluation: Summary & Against;
  /** Ours / least of theirs. */
  readonly peakMemory: number;
  readonly firstStep: number;
  /** Largest difference of a first step's loss from PyTorch's in f32, in nats. */
  readonly lossDifference: number;
}

/** Ratios to the best PyTorch mode, but for the first step (seconds after the start with a cached graph). */
export const GOALS = { training: 3, evaluation: 3, peakMemory: 0.5, firstStep: 3, products: 0.8 } as const;

export function batchResult(batchSize: number, workload: Workload, measured: readonly SideMeasurement[]): BatchResult {
  const size = ({ examples, tokens, longest }: WorkBatch): BatchSize => ({ rows: examples.length, tokens, longest });
  return {
    batchSize,
    workload: { training: workload.training.map(size), evaluation: workload.evaluation.map(size) },
    sides: measured.map((side) => ({ ...side, summary: summaryOf(side, workload) })),
    ratios: ratiosOf(measured, workload),
  };
}

export function isOurs(name: SideName): boolean {
  return name.startsWith('readapt');
}

function summaryOf(side: SideMeasurement, workload: Workload): SideResult['summary'] {
  const { profile } = side;
  return {
    training: summarize(rates(side, 'training', workload)),
    evaluation: summarize(rates(side, 'evaluation', workload)),
    compile: { cold: compilation(side, 'cold'), cached: compilation(side, 'cached') },
    products: profile && profile.products / profile.step,
  };
}

function compilation(side: SideMeasurement, start: 'cold' | 'cached'): Compilation {
  const beyond = (figure: 'training' | 'evaluation') => {
    return sum(side[start][figure].map(({ seconds }) => seconds)) - median(side[figure].map(sum));
  };
  return { training: beyond('training'), evaluation: beyond('evaluation') };
}

/** Tokens a second of each round. */
function rates(side: SideMeasurement, figure: 'training' | 'evaluation', workload: Workload): number[] {
  const tokens = sum(workload[figure].map((batch) => batch.tokens));
  return side[figure].map((seconds) => tokens / sum(seconds));
}

function ratiosOf(measured: readonly SideMeasurement[], workload: Workload): Ratios[] {
  const theirs = measured.filter(({ name }) => !isOurs(name));
  if (theirs.length === 0) return [];
  const least = (figure: 'peakMemory' | 'firstStep') => Math.min(...theirs.map(({ cached }) => cached[figure]));
  const f32 = theirs.find(({ name }) => name === 'torch-f32')!;
  return measured
    .filter(({ name }) => isOurs(name))
    .map((ours) => {
      const against = (figure: 'training' | 'evaluation') => {
        const speed = (side: SideMeasurement) => rates(side, figure, workload);
        const best = theirs.reduce((a, b) => (median(speed(b)) > median(speed(a)) ? b : a));
        return { ...summarizeRatios(speed(ours), speed(best)), against: best.name };
      };
      return {
        side: ours.name,
        training: against('training'),
        evaluation: against('evaluation'),
        peakMemory: ours.cached.peakMemory / least('peakMemory'),
        firstStep: ours.cached.firstStep / least('firstStep'),
        lossDifference: Math.max(
          ...ours.cached.training.map(({ loss }, i) => Math.abs(loss - f32.cached.training[i]!.loss)),
        ),
      };
    });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
