import { inputLength } from '../../data/batching.ts';
import { labelCount, type ExampleRow, type TokenizedExample } from '../../data/example.ts';
import { TokenizeError, tokenizeRows, type TokenizeOptions } from '../../data/tokenize.ts';
import { generationCacheBytes, type TextSizes } from '../../engine/generation/greedy.ts';
import { activationBytes, adaptedWidths } from '../../engine/memory/activation-memory.ts';
import { baseBytes } from '../../engine/memory/base-memory.ts';
import { PROCESS_BYTES, programBytes, type AvailableMemory } from '../../engine/memory/process-memory.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import { adaptableModules } from '../../models/architecture/architecture.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { PrecisionSetting } from '../../options/precisions.ts';

/** A row, as far as its memory depends on it. */
export interface RowSizes {
  /** Input tokens. */
  readonly tokens: number;
  readonly labels: number;
}

/** Returns the sizes of rows. */
export function rowSizes(examples: readonly TokenizedExample[]): RowSizes[] {
  return examples.map((example) => ({ tokens: inputLength(example), labels: labelCount(example) }));
}

/** Number of the longest texts that are made into tokens to find the longest row. */
const LONGEST_TEXTS = 8;

/**
 * Returns the sizes of the rows with the longest texts, among which is the longest row or one nearly as long. A row that
 * cannot be made into tokens is left to the training, which reports it.
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

/** What a job's memory depends on. */
export interface MemoryNeeds {
  readonly config: ModelConfig;
  /** In which the base is kept, or may be. */
  readonly precision: PrecisionSetting;
  readonly adapter: Adapter;
  /** Rows that are measured, and rows that are trained on. */
  readonly measured: readonly RowSizes[];
  readonly trained: readonly RowSizes[];
  /** Texts that are generated to measure an adapter. Default: none. */
  readonly generated?: TextSizes | null;
  /** Whether the job holds the evolution between its bases. */
  readonly evolution: boolean;
}

/** Bytes that a job needs at the least, by what needs them. */
export interface MemoryPlan {
  readonly process: number;
  readonly base: number;
  readonly adapter: number;
  readonly evolution: number;
  /** Keys and values of texts that are generated. */
  readonly generation: number;
  /** What the longest row takes, computed in the way that takes least. */
  readonly activations: number;
  /** Everything but activations. */
  readonly reserved: number;
  readonly total: number;
}

/** A job that cannot fit into the memory there is. */
export class InsufficientMemoryError extends Error {
  readonly code = 'insufficient_memory';
  readonly plan: MemoryPlan;

  constructor(message: string, plan: MemoryPlan) {
    super(message);
    this.name = 'InsufficientMemoryError';
    this.plan = plan;
  }
}

/** Copies of an adapter that training holds: parameters, gradients and moments with their successors, anchor and candidates. */
const TRAINED_COPIES = 12;

/** Copies of an adapter where nothing is trained: the old one, the candidate, the best one and the one being fused. */
const MEASURED_COPIES = 4;

/** Copies of an evolution's factors: as read, and what fusion makes of them. */
const EVOLUTION_COPIES = 2;

const FLOAT = 4;

/** Works out what a job needs at the least. */
export function planMemory(needs: MemoryNeeds): MemoryPlan {
  const { config, precision, adapter, trained, evolution, generated } = needs;
  const [longest, labels] = [mostOf(needs, 'tokens'), mostOf(needs, 'labels')];
  const copies = trained.length > 0 ? TRAINED_COPIES : MEASURED_COPIES;
  const parts = {
    process: PROCESS_BYTES + programBytes(config, longest, labels),
    base: baseBytes(config, precision),
    adapter: FLOAT * copies * sum([...adapter.modules.values()].map(({ a, b }) => a.length + b.length)),
    evolution: FLOAT * EVOLUTION_COPIES * (evolution ? evolutionFloats(config) : 0),
    generation: generated ? generationCacheBytes(config, generated) : 0,
  };
  const reserved = sum(Object.values(parts));
  const activations = leastActivations(needs);
  return { ...parts, activations, reserved, total: reserved + activations };
}

/**
 * Returns the plan of a job that fits.
 * @throws InsufficientMemoryError with the figures, and the setting that would help
 */
export function requireMemory(needs: MemoryNeeds, available: AvailableMemory): MemoryPlan {
  const plan = planMemory(needs);
  if (plan.total <= available.bytes) return plan;
  const parts = (['base', 'activations', 'adapter', 'evolution', 'generation', 'process'] as const)
    .filter((part) => plan[part] > 0)
    .map((part) => `${part} ${gibibytes(plan[part])}`);
  const found = `this worker has ${gibibytes(available.bytes)} GiB (${available.source})`;
  const figures = `this job needs ${gibibytes(plan.total)} GiB (${parts.join(', ')}), ${found}`;
  throw new InsufficientMemoryError(`${figures}: ${remedy(needs, plan, available.bytes)}`, plan);
}

/** Says what would make the job fit. */
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

/** Bytes of the longest row, which goes alone, in the way that takes least. */
function leastActivations(needs: MemoryNeeds): number {
  const { config, adapter, measured, trained } = needs;
  const base = { config, adapted: adaptedWidths(adapter, (adapter.config.dropout ?? 0) > 0) };
  const most = (kind: 'labelLosses' | 'gradients', rows: readonly RowSizes[]) => {
    const recompute = kind === 'gradients' ? 'layers' : 'scores';
    return rows.reduce((largest, { tokens, labels }) => {
      const sizes = { tokens, longest: tokens, labels };
      return Math.max(largest, activationBytes({ ...base, kind, recompute }, sizes));
    }, 0);
  };
  return Math.max(most('labelLosses', measured), most('gradients', trained));
}

function mostOf({ measured, trained }: MemoryNeeds, what: keyof RowSizes): number {
  return [...measured, ...trained].reduce((most, sizes) => Math.max(most, sizes[what]), 0);
}

/** The needs of the same job with rows of so many tokens at most. */
function cutTo(needs: MemoryNeeds, length: number): MemoryNeeds {
  const cut = (rows: readonly RowSizes[]) =>
    rows.map(({ tokens, labels }) => ({ tokens: Math.min(tokens, length), labels: Math.min(labels, length) }));
  return { ...needs, measured: cut(needs.measured), trained: cut(needs.trained) };
}

/** Largest rank of an evolution's modules. */
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
