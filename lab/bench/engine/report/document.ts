import type { SideMeasurement, StartFigures } from '../measure.ts';
import type { RowKind } from '../rows.ts';
import { isReadapt, type SideName } from '../sides/side-protocol.ts';
import type { Batching, Figure, PromptBatch, WorkBatch, Workload } from '../workload.ts';
import { median, sum, summarize, summarizeRatios, type Summary } from './statistics.ts';

/** All figures of one run, as `--json` writes them. Times are in seconds, memory in bytes, rates in tokens a second. */
export interface BenchDocument {
  /** Command line of the run. */
  readonly command: string;
  /** Start of the run (RFC 3339, UTC). */
  readonly started: string;
  readonly finished: string;
  readonly model: { readonly name: string; readonly parameters: number };
  readonly adapter: { readonly method: 'lora'; readonly rank: number; readonly modules: readonly string[] };
  readonly threads: number;
  readonly machine: Machine;
  /** Versions by package name: node, onnxruntime-node, torch … */
  readonly versions: Readonly<Record<string, string>>;
  /** One-minute load average before and after the run. */
  readonly load: readonly [number, number];
  readonly goals: typeof GOALS;
  readonly results: readonly WorkloadResult[];
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memory: number;
  readonly system: string;
}

/** Figures of one kind of rows in batches of one size. */
export interface WorkloadResult extends WorkloadSettings {
  readonly workload: WorkloadSizes;
  readonly sides: readonly SideResult[];
  /** Comparison of each Readapt side with PyTorch. Empty if PyTorch was not measured. */
  readonly ratios: readonly Ratios[];
}

export interface WorkloadSettings {
  readonly rows: RowKind;
  readonly batchSize: number;
  readonly rounds: number;
  /** Training steps of one round. */
  readonly steps: number;
  /** Tokens that are generated for each prompt. */
  readonly newTokens: number;
}

interface WorkloadSizes {
  readonly training: Sizes<BatchSize>;
  readonly evaluation: Sizes<BatchSize>;
  readonly generation: Sizes<PromptBatchSize>;
}

type Sizes<Size> = Readonly<Record<Batching, readonly Size[]>>;

type BatchSize = Pick<WorkBatch, 'tokens' | 'longest'> & { readonly rows: number };

type PromptBatchSize = BatchSize & Pick<PromptBatch, 'promptTokens'>;

export interface SideResult extends SideMeasurement {
  readonly summary: Readonly<Record<Batching, Speeds>> & {
    readonly compile: Readonly<Record<'cold' | 'cached', Compilation | null>>;
    /** Share of matrix products in a profiled step, or null without a profile. */
    readonly products: number | null;
  };
}

/** Speeds of the rounds in tokens a second. In generation, only new tokens count. */
type Speeds = Readonly<Record<Figure, Summary>>;

/** Seconds of the first pass through the batches beyond the median of later passes. */
type Compilation = Readonly<Record<Figure, number>>;

type Against = { readonly against: SideName };

/** Comparison of one Readapt side with PyTorch's best mode for each figure. */
export interface Ratios {
  readonly side: SideName;
  /** Readapt's tokens a second over PyTorch's with batches of rows of similar length. */
  readonly grouped: Readonly<Record<Figure, Summary & Against>>;
  /** Readapt's tokens a second over PyTorch's with batches of rows in random order. */
  readonly unsorted: Readonly<Record<Figure, Summary & Against>>;
  /** Readapt's peak memory over the least of PyTorch's. */
  readonly peakMemory: number;
  /** Readapt's time to the first step over the least of PyTorch's, both from the second start. */
  readonly firstStep: number;
  /** Largest difference of a first-pass training loss from PyTorch's in f32, in nats. */
  readonly lossDifference: number;
}

/** Goals for Readapt: ratios to the best PyTorch mode, but seconds for `firstStep` and a share for `products`. */
export const GOALS = {
  training: 3,
  evaluation: 3,
  generation: 2,
  peakMemory: 0.5,
  firstStep: 3,
  products: 0.8,
} as const;

export function workloadResult(
  settings: WorkloadSettings,
  workload: Workload,
  measured: readonly SideMeasurement[],
): WorkloadResult {
  const size = ({ examples, tokens, longest }: WorkBatch): BatchSize => ({ rows: examples.length, tokens, longest });
  const sizes = ({ grouped, unsorted }: Workload['training']) => ({
    grouped: grouped.map(size),
    unsorted: unsorted.map(size),
  });
  const promptSize = ({ prompts, tokens, promptTokens, longest }: PromptBatch): PromptBatchSize => {
    return { rows: prompts.length, tokens, promptTokens, longest };
  };
  const { grouped, unsorted } = workload.generation;
  const all: WorkloadSizes = {
    training: sizes(workload.training),
    evaluation: sizes(workload.evaluation),
    generation: { grouped: grouped.map(promptSize), unsorted: unsorted.map(promptSize) },
  };
  return summarized(settings, all, measured);
}

export function summarized(
  settings: WorkloadSettings,
  workload: WorkloadSizes,
  measured: readonly SideMeasurement[],
): WorkloadResult {
  return {
    ...settings,
    workload,
    sides: measured.map((side) => ({ ...side, summary: summaryOf(side, workload) })),
    ratios: ratiosOf(measured, workload),
  };
}

function summaryOf(side: SideMeasurement, workload: WorkloadSizes): SideResult['summary'] {
  const { profile } = side;
  const speeds = (batching: Batching): Speeds => {
    const speed = (figure: Figure) => summarize(rates(side, batching, figure, workload));
    return { training: speed('training'), evaluation: speed('evaluation'), generation: speed('generation') };
  };
  return {
    grouped: speeds('grouped'),
    unsorted: speeds('unsorted'),
    compile: { cold: side.cold && compilation(side, side.cold), cached: compilation(side, side.cached) },
    products: profile && profile.products / profile.step,
  };
}

function compilation(side: SideMeasurement, start: StartFigures): Compilation {
  const beyond = (figure: Figure) => {
    return sum(start[figure].map(({ seconds }) => seconds)) - median(side.grouped[figure].map(sum));
  };
  return { training: beyond('training'), evaluation: beyond('evaluation'), generation: beyond('generation') };
}

/** Tokens a second in each round. */
function rates(side: SideMeasurement, batching: Batching, figure: Figure, workload: WorkloadSizes): number[] {
  const tokens = sum(workload[figure][batching].map((batch) => batch.tokens));
  return side[batching][figure].map((seconds) => tokens / sum(seconds));
}

function ratiosOf(measured: readonly SideMeasurement[], workload: WorkloadSizes): Ratios[] {
  const torch = measured.filter(({ name }) => !isReadapt(name));
  const reference = torch.find(({ name }) => name === 'torch-f32');
  if (!reference) return [];
  const least = (figure: 'peakMemory' | 'firstStep') => Math.min(...torch.map(({ cached }) => cached[figure]));
  return measured
    .filter(({ name }) => isReadapt(name))
    .map((side) => {
      const against = (batching: Batching, figure: Figure) => {
        const speed = (one: SideMeasurement) => rates(one, batching, figure, workload);
        const best = torch.reduce((a, b) => (median(speed(b)) > median(speed(a)) ? b : a));
        return { ...summarizeRatios(speed(side), speed(best)), against: best.name };
      };
      const figures = (batching: Batching) => ({
        training: against(batching, 'training'),
        evaluation: against(batching, 'evaluation'),
        generation: against(batching, 'generation'),
      });
      return {
        side: side.name,
        grouped: figures('grouped'),
        unsorted: figures('unsorted'),
        peakMemory: side.cached.peakMemory / least('peakMemory'),
        firstStep: side.cached.firstStep / least('firstStep'),
        lossDifference: Math.max(
          ...side.cached.training.map(({ loss }, i) => Math.abs(loss - reference.cached.training[i]!.loss)),
        ),
      };
    });
}
