import type { SideMeasurement } from '../measure.ts';
import type { SideName } from '../sides/side-protocol.ts';
import type { WorkBatch, Workload } from '../workload.ts';
import { median, sum, summarize, summarizeRatios, type Summary } from './statistics.ts';

/** All figures of one run, as `--json` writes them. Times are in seconds, memory in bytes, rates in tokens a second. */
export interface BenchDocument {
  /** The command line that was typed. */
  readonly command: string;
  /** Start of the run (RFC 3339, UTC). */
  readonly started: string;
  readonly finished: string;
  readonly model: { readonly name: string; readonly parameters: number };
  readonly adapter: { readonly method: 'lora'; readonly rank: number; readonly modules: readonly string[] };
  readonly rounds: number;
  /** Training steps of one round. */
  readonly steps: number;
  readonly threads: number;
  readonly machine: Machine;
  /** Versions by package name: node, onnxruntime-node, torch … */
  readonly versions: Readonly<Record<string, string>>;
  /** One-minute load average before and after the run. */
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

/** The figures of one batch size. */
export interface BatchResult {
  readonly batchSize: number;
  readonly workload: Readonly<Record<'training' | 'evaluation', readonly BatchSize[]>>;
  readonly sides: readonly SideResult[];
  /** Each Readapt side against PyTorch; empty if PyTorch was not measured. */
  readonly ratios: readonly Ratios[];
}

type BatchSize = Pick<WorkBatch, 'tokens' | 'longest'> & { readonly rows: number };

export interface SideResult extends SideMeasurement {
  readonly summary: {
    readonly training: Summary;
    readonly evaluation: Summary;
    readonly compile: Readonly<Record<'cold' | 'cached', Compilation>>;
    /** Share of a profiled step that is spent in matrix products; null without a profile. */
    readonly products: number | null;
  };
}

/** Seconds that the first pass through the batches took beyond the median of later passes. */
type Compilation = Readonly<Record<'training' | 'evaluation', number>>;

type Against = { readonly against: SideName };

/** One Readapt side compared with the PyTorch mode that is best in each figure. */
export interface Ratios {
  readonly side: SideName;
  /** Readapt's tokens a second over PyTorch's. */
  readonly training: Summary & Against;
  readonly evaluation: Summary & Against;
  /** Readapt's peak memory over the least of PyTorch's. */
  readonly peakMemory: number;
  /** Readapt's time to the first step over the least of PyTorch's, both from the second start. */
  readonly firstStep: number;
  /** Largest difference of a first-pass training loss from PyTorch's in f32, in nats. */
  readonly lossDifference: number;
}

/** Goals for Readapt: ratios to the best PyTorch mode, but seconds for `firstStep` and a share for `products`. */
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

/** Whether this side is Readapt rather than PyTorch. */
export function isReadapt(name: SideName): boolean {
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

/** Tokens a second in each round. */
function rates(side: SideMeasurement, figure: 'training' | 'evaluation', workload: Workload): number[] {
  const tokens = sum(workload[figure].map((batch) => batch.tokens));
  return side[figure].map((seconds) => tokens / sum(seconds));
}

function ratiosOf(measured: readonly SideMeasurement[], workload: Workload): Ratios[] {
  const torch = measured.filter(({ name }) => !isReadapt(name));
  const reference = torch.find(({ name }) => name === 'torch-f32');
  if (!reference) return [];
  const least = (figure: 'peakMemory' | 'firstStep') => Math.min(...torch.map(({ cached }) => cached[figure]));
  return measured
    .filter(({ name }) => isReadapt(name))
    .map((side) => {
      const against = (figure: 'training' | 'evaluation') => {
        const speed = (one: SideMeasurement) => rates(one, figure, workload);
        const best = torch.reduce((a, b) => (median(speed(b)) > median(speed(a)) ? b : a));
        return { ...summarizeRatios(speed(side), speed(best)), against: best.name };
      };
      return {
        side: side.name,
        training: against('training'),
        evaluation: against('evaluation'),
        peakMemory: side.cached.peakMemory / least('peakMemory'),
        firstStep: side.cached.firstStep / least('firstStep'),
        lossDifference: Math.max(
          ...side.cached.training.map(({ loss }, i) => Math.abs(loss - reference.cached.training[i]!.loss)),
        ),
      };
    });
}
