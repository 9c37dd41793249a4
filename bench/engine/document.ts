import type { SideResult } from './measure.ts';
import type { SideName } from './side-protocol.ts';
import { median, summarise, summariseRatios, type Summary } from './statistics.ts';

/** Everything of one run, as it is written with `--json`. */
export interface BenchDocument {
  readonly model: string;
  readonly rounds: number;
  readonly steps: number;
  readonly threads: number;
  readonly cpu: string;
  /** One-minute load average before and after. */
  readonly load: readonly [number, number];
  readonly batches: readonly BatchResult[];
}

export interface BatchResult {
  readonly batchSize: number;
  readonly shapes: readonly string[];
  readonly sides: readonly (SideResult & { readonly summary: SideSummary })[];
  /** Ours against the best PyTorch mode of each figure; null where Python is missing. */
  readonly ratios: Ratios | null;
}

interface SideSummary {
  readonly training: Summary;
  readonly evaluation: Summary;
  readonly compile: number;
}

interface Ratios {
  readonly training: Summary & { readonly against: SideName };
  readonly evaluation: Summary & { readonly against: SideName };
  /** Ours / least of theirs. */
  readonly peakMemory: number;
  readonly firstStep: number;
  /** Largest difference of a warm-up step's loss from PyTorch's in f32, in nats. */
  readonly lossDifference: number;
}

export function batchResult(batchSize: number, shapes: readonly string[], sides: readonly SideResult[]): BatchResult {
  return {
    batchSize,
    shapes: [...new Set(shapes)],
    sides: sides.map((side) => ({
      ...side,
      summary: {
        training: summarise(side.training),
        evaluation: summarise(side.evaluation),
        compile: median(side.compile),
      },
    })),
    ratios: ratiosOf(sides),
  };
}

function ratiosOf(sides: readonly SideResult[]): Ratios | null {
  const ours = sides.find(({ name }) => name === 'readapt')!;
  const theirs = sides.filter((side) => side !== ours);
  if (theirs.length === 0) return null;
  const against = (figure: 'training' | 'evaluation') => {
    const best = theirs.reduce((a, b) => (median(b[figure]) > median(a[figure]) ? b : a));
    return { ...summariseRatios(ours[figure], best[figure]), against: best.name };
  };
  const f32 = theirs.find(({ name }) => name === 'f32')!;
  return {
    training: against('training'),
    evaluation: against('evaluation'),
    peakMemory: ours.peakMemory / Math.min(...theirs.map(({ peakMemory }) => peakMemory)),
    firstStep: ours.firstStep / Math.min(...theirs.map(({ firstStep }) => firstStep)),
    lossDifference: Math.max(...ours.losses.map((loss, i) => Math.abs(loss - f32.losses[i]!))),
  };
}
