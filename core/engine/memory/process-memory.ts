import os from 'node:os';
import { attentionBlocks } from '../call/attention-bins.ts';
import { labelBlocks } from '../call/label-blocks.ts';
import { tokenBudgets } from '../devices/token-budgets.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';

const MIB = 2 ** 20;

/**
 * Bytes of a process before it loads a base: Node, ONNX Runtime, a tokenizer, and TensorFlow.js while a program is traced.
 * A process with SmolLM2-135M had 150 to 180 MiB beside the weights, and 100 MiB more after tracing.
 */
export const PROCESS_BYTES = 280 * MIB;

/**
 * Bytes of the thread that traces programs while a base is prepared, with a TensorFlow.js of its own: 80 to 110 MiB with
 * SmolLM2-135M.
 */
export const TRACING_THREAD_BYTES = 128 * MIB;

/** Bytes of one operator of a compiled program, as measured on SmolLM2-135M with 1,900 to 11,700 operators. */
const OPERATOR_BYTES = 24 * 1024;

/** Operators of a layer in a program, and those that each further block of attention adds, as `readapt graph` counts them. */
const OPERATORS = {
  float32: { gradients: 200, forward: 65 },
  int8: { gradients: 315, forward: 112 },
  block: { gradients: 50, forward: 15 },
};

/** Operators of each block of labels. */
const LABEL_BLOCK_OPERATORS = 12;

/** Compiled programs of a job: losses and gradients, with and without what the search tries. */
const PROGRAMS = 2;

/** What a job's programs depend on. */
export interface ProgramNeeds {
  /** Whether the base is computed in int8. */
  readonly int8: boolean;
  /** Whether there are gradients. */
  readonly differentiated: boolean;
  /** Tokens of the longest row. */
  readonly longest: number;
  /** Labels of the row that has most. */
  readonly labels: number;
}

/** Bytes of a job's compiled programs. */
export function programBytes(config: ModelConfig, { int8, differentiated, longest, labels }: ProgramNeeds): number {
  const { numLayers, vocabSize } = config;
  const pass = differentiated ? 'gradients' : 'forward';
  const ofLayer = OPERATORS[int8 ? 'int8' : 'float32'][pass] + OPERATORS.block[pass] * (attentionBlocks([longest]) - 1);
  const { blocks } = labelBlocks(labels, vocabSize, tokenBudgets('cpu', config).logits);
  return PROGRAMS * (numLayers * ofLayer + LABEL_BLOCK_OPERATORS * blocks) * OPERATOR_BYTES;
}

/** How much memory there is, and how that is known. */
export interface AvailableMemory {
  readonly bytes: number;
  /** A clause, for example `READAPT_MEMORY`. */
  readonly source: string;
}

/** Left to the worker beside its training process where both are limited together. */
const WORKER_BYTES = 256 * MIB;

/**
 * Returns how much memory a process may take here at the most, whatever else runs on the machine now.
 * @param setting bytes; null where there is none
 */
export function largestMemory(setting: number | null): AvailableMemory {
  return leastOf({ bytes: os.totalmem(), source: 'what this machine has' }, setting);
}

/**
 * Returns how much memory this process may take: the setting, if there is one, but not more than the limit of its control
 * group and what the machine has free. Memory that the process has taken already counts as free.
 * @param setting bytes; null where there is none
 */
export function availableMemory(setting: number | null): AvailableMemory {
  return leastOf({ bytes: os.freemem() + process.memoryUsage.rss(), source: 'what this machine has free' }, setting);
}

function leastOf(machine: AvailableMemory, setting: number | null): AvailableMemory {
  const limit = process.constrainedMemory();
  const limited = limit > 0 && limit < os.totalmem();
  const found: AvailableMemory[] = [
    machine,
    ...(limited ? [{ bytes: limit - WORKER_BYTES, source: "the control group's limit" }] : []),
    ...(setting === null ? [] : [{ bytes: setting, source: 'READAPT_MEMORY' }]),
  ];
  return found.reduce((least, each) => (each.bytes < least.bytes ? each : least));
}
