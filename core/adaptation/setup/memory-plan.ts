import { inputLength } from '../../data/batching.ts';
import { labelCount, type ExampleRow, type TokenizedExample } from '../../data/example.ts';
import { TokenizeError, tokenizeRows, type TokenizeOptions } from '../../data/tokenize.ts';
import { generationCacheBytes, type TextSizes } from '../../engine/generation/greedy.ts';
import { activationBytes, adaptedWidths } from '../../engine/memory/activation-memory.ts';
import { smallestStage } from '../../engine/int8/float32-runtime.ts';
import { elementCount } from '../../engine/graph/graph.ts';
import { layerMatrices } from '../../engine/int8/layer-weights.ts';
import { baseBytes, countsAsInt8 } from '../../engine/memory/base-memory.ts';
import type { JobMemory } from '../../engine/memory/memory-shares.ts';
import {
  PROCESS_BYTES,
  programBytes,
  type AvailableMemory,
  type ProgramNeeds,
  TRACING_THREAD_BYTES,
} from '../../engine/memory/process-memory.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import { adaptableModules } from '../../models/architecture/architecture.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { PrecisionSetting } from '../../options/precisions.ts';

/** Sizes of a tokenized row that determine how much memory its computation takes. */
export interface RowSizes {
  /** Number of input tokens of the row. */
  readonly tokens: number;
  readonly labels: number;
  /** Number of soft targets at each label. Default: 0, for a row whose labels are single tokens. */
  readonly targets?: number;
}

export function rowSizes(examples: readonly TokenizedExample[]): RowSizes[] {
  return examples.map((example) => ({ tokens: inputLength(example), labels: labelCount(example) }));
}

/** Number of rows with the longest texts that are tokenized to find the row with the most tokens. */
const LONGEST_TEXTS = 8;

/**
 * Returns the sizes of the rows with the longest texts, among which is the row with the most tokens, or one nearly as
 * long. Rows that cannot be tokenized are left out; training reports these.
 */
export function longestSizes(rows: readonly ExampleRow[], options: TokenizeOptions): RowSizes[] {
  const lengthOf = (row: ExampleRow): number => JSON.stringify(row).length;
  const byLength = rows.map((row) => ({ row, length: lengthOf(row) })).sort((a, b) => b.length - a.length);
  return byLength.slice(0, LONGEST_TEXTS).flatMap(({ row }) => {
    try {
      return rowSizes(tokenizeRows([row], options));
    } catch (error) {
      if (error instanceof TokenizeError) return [];
      throw error;
    }
  });
}

/** Properties of a job that determine how much memory it needs. */
export interface MemoryNeeds {
  readonly config: ModelConfig;
  /** Precision of the base, or the setting by which it will be chosen. */
  readonly precision: PrecisionSetting;
  readonly adapter: Adapter;
  /** Sizes of the rows on which adapters are measured. */
  readonly measured: readonly RowSizes[];
  /** Sizes of the rows for which gradients are computed; empty if the job does not train. */
  readonly trained: readonly RowSizes[];
  /** Number and length of the texts that are generated to measure an adapter. Default: none. */
  readonly generated?: TextSizes | null;
  /** Whether the job keeps the evolution between its bases in memory. */
  readonly evolution: boolean;
}

/** Smallest memory with which a job can run, in bytes for each purpose. */
export interface MemoryPlan {
  readonly process: number;
  readonly base: number;
  readonly adapter: number;
  readonly evolution: number;
  /** Bytes for the keys and values of the attention, which are kept while texts are generated. */
  readonly generation: number;
  /** Bytes for the activations of the longest row, if it is computed in the way that takes the least memory. */
  readonly activations: number;
  /**
   * Bytes for comparing a base in int8 with float32, which happens before rows are computed; 0 for a base in another
   * precision.
   */
  readonly comparison: number;
  /** Bytes that the job holds all the time: the sum of all parts except activations and comparison. */
  readonly reserved: number;
  readonly total: number;
}

/** Error for a job that does not fit into the available memory. */
export class InsufficientMemoryError extends Error {
  readonly code = 'insufficient_memory';
  readonly plan: MemoryPlan;

  constructor(message: string, plan: MemoryPlan) {
    super(message);
    this.name = 'InsufficientMemoryError';
    this.plan = plan;
  }
}

/**
 * Number of copies of an adapter that a job with training keeps in memory: parameters, gradients and the optimizer's
 * moments with their new values, the adapter that the L2 penalty pulls towards, and candidates.
 */
const TRAINED_COPIES = 12;

/**
 * Number of copies of an adapter that a job without training keeps in memory: the old one, the candidate, the best one
 * and the one being fused.
 */
const MEASURED_COPIES = 4;

/** Number of copies of an evolution's factors in memory: as read from the file, and as prepared for fusion. */
const EVOLUTION_COPIES = 2;

const FLOAT = 4;

/** Computes the smallest memory with which a job can run. */
export function planMemory(needs: MemoryNeeds): MemoryPlan {
  const { config, precision, adapter, trained, evolution, generated } = needs;
  const programs = {
    int8: countsAsInt8(config, precision),
    differentiated: trained.length > 0,
    longest: mostOf(needs, 'tokens'),
    labels: mostOf(needs, 'labels'),
  };
  const copies = programs.differentiated ? TRAINED_COPIES : MEASURED_COPIES;
  const parts = {
    process: PROCESS_BYTES + programBytes(config, programs),
    base: baseBytes(config, precision, programs.differentiated),
    adapter: FLOAT * copies * sum([...adapter.modules.values()].map(({ a, b }) => a.length + b.length)),
    evolution: FLOAT * EVOLUTION_COPIES * (evolution ? evolutionFloats(config) : 0),
    generation: generated ? generationCacheBytes(config, generated) : 0,
  };
  const reserved = sum(Object.values(parts));
  const activations = leastActivations(needs);
  const comparison = comparisonBytes(needs, programs);
  return { ...parts, activations, comparison, reserved, total: reserved + Math.max(activations, comparison) };
}

/**
 * Returns the memory to reserve for a job in addition to that for its base: the part that the job holds all the time,
 * and the part that it needs only while it computes.
 */
export function jobMemory(plan: MemoryPlan, { trained }: Pick<MemoryNeeds, 'trained'>): JobMemory {
  const { adapter, evolution, generation, process, activations, comparison } = plan;
  return {
    kept: process - PROCESS_BYTES + adapter + evolution + generation,
    working: Math.max(activations, comparison),
    differentiated: trained.length > 0,
  };
}

/**
 * Number of copies of a matrix in memory while it is rounded to int8: the matrix as read, and the copies of it and its
 * transpose that operators make and keep for the next matrix.
 */
const ROUNDING_COPIES = 12;

/**
 * Sizes, in tokens and labels, of the largest batches on which int8 is compared with float32: one of calibration texts,
 * and one of a task's rows.
 */
const COMPARED = {
  losses: [
    { tokens: 768, longest: 64, labels: 96 },
    { tokens: 512, longest: 512, labels: 512 },
  ],
  gradients: { tokens: 128, longest: 128, labels: 128 },
};

/**
 * Returns the smallest number of bytes with which int8 can be compared with float32; 0 for a base in another precision.
 * They hold a few matrices in float32 at a time, the computation with them, programs in float32, the rounding of a
 * matrix, and the thread that traces programs. With more memory, more matrices are compared at a time.
 */
function comparisonBytes({ config, precision, adapter }: MemoryNeeds, programs: ProgramNeeds): number {
  if (!countsAsInt8(config, precision)) return 0;
  const options = { config, adapted: adaptedWidths(adapter) };
  const computed = Math.max(
    ...COMPARED.losses.map((sizes) => activationBytes({ ...options, kind: 'labelLosses', recompute: 'cheap' }, sizes)),
    programs.differentiated
      ? activationBytes({ ...options, kind: 'gradients', recompute: 'cheap' }, COMPARED.gradients)
      : 0,
  );
  const inFloat32 = programBytes(config, { ...programs, int8: false });
  const rounding = FLOAT * ROUNDING_COPIES * Math.max(...layerMatrices(config).map(({ shape }) => elementCount(shape)));
  return smallestStage(config) + computed + inFloat32 + rounding + TRACING_THREAD_BYTES;
}

/**
 * Returns the memory plan of a job, after checking that the job fits into the available memory.
 * @throws InsufficientMemoryError with the figures, and a setting that would help
 */
export function requireMemory(needs: MemoryNeeds, available: AvailableMemory): MemoryPlan {
  const plan = planMemory(needs);
  if (plan.total <= available.bytes) return plan;
  const working = plan.activations < plan.comparison ? 'comparison' : 'activations';
  const parts = (['base', working, 'adapter', 'evolution', 'generation', 'process'] as const)
    .filter((part) => plan[part] > 0)
    .map((part) => `${part} ${gibibytes(plan[part])}`);
  const found = `this worker has ${gibibytes(available.bytes)} GiB (${available.source})`;
  const figures = `this job needs ${gibibytes(plan.total)} GiB (${parts.join(', ')}), ${found}`;
  throw new InsufficientMemoryError(`${figures}: ${remedy(needs, plan, available.bytes)}`, plan);
}

/** Suggests a setting with which the job would fit into memory, for the error message. */
function remedy(needs: MemoryNeeds, plan: MemoryPlan, bytes: number): string {
  const longest = mostOf(needs, 'tokens');
  let length = Math.floor(longest / 64) * 64;
  while (length >= 64 && planMemory(cutTo(needs, length)).total > bytes) length -= 64;
  if (length >= 64) return `a max_length of ${length} would fit, where the longest row has ${longest} tokens`;
  const int8 = baseBytes(needs.config, 'int8');
  if (needs.precision === 'f32' && plan.total - plan.base + int8 <= bytes) {
    return `in int8 (READAPT_PRECISION) the base would take ${gibibytes(int8)} GiB`;
  }
  return `give it at least ${gibibytes(plan.total)} GiB (READAPT_MEMORY, or a larger machine)`;
}

/**
 * Returns the bytes for the activations of the row that needs most, if it is a batch of its own and computed in the way
 * that takes the least memory.
 */
function leastActivations(needs: MemoryNeeds): number {
  const { config, adapter, measured, trained } = needs;
  const base = { config, adapted: adaptedWidths(adapter, (adapter.config.dropout ?? 0) > 0) };
  const most = (kind: 'labelLosses' | 'gradients', rows: readonly RowSizes[]) => {
    const recompute = kind === 'gradients' ? 'layers' : 'scores';
    return rows.reduce((largest, { tokens, ...labels }) => {
      const sizes = { tokens, longest: tokens, ...labels };
      return Math.max(largest, activationBytes({ ...base, kind, recompute }, sizes));
    }, 0);
  };
  return Math.max(most('labelLosses', measured), most('gradients', trained));
}

function mostOf({ measured, trained }: MemoryNeeds, what: 'tokens' | 'labels'): number {
  return [...measured, ...trained].reduce((most, sizes) => Math.max(most, sizes[what]), 0);
}

/** Returns the memory needs of a job as they would be if its rows were cut to `length` tokens. */
function cutTo(needs: MemoryNeeds, length: number): MemoryNeeds {
  const cut = (rows: readonly RowSizes[]) =>
    rows.map((row) => ({ ...row, tokens: Math.min(row.tokens, length), labels: Math.min(row.labels, length) }));
  return { ...needs, measured: cut(needs.measured), trained: cut(needs.trained) };
}

/** Rank of the factors that the memory plan assumes for each module of an evolution. */
const EVOLUTION_RANK = 32;

function evolutionFloats(config: ModelConfig): number {
  return EVOLUTION_RANK * sum(adaptableModules(config).map(({ inFeatures, outFeatures }) => inFeatures + outFeatures));
}

function gibibytes(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(1);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
