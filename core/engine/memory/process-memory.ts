import os from 'node:os';
import { attentionBlocks } from '../call/attention-bins.ts';
import { labelBlocks } from '../call/label-blocks.ts';
import { tokenBudgets } from '../devices/token-budgets.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';

const MIB = 2 ** 20;

/**
 * Memory of a process before it loads a base: Node, ONNX Runtime, a tokenizer, and TensorFlow.js while a program is
 * traced. A process with SmolLM2-135M used 150 to 180 MiB in addition to the weights, and 100 MiB more after tracing.
 */
export const PROCESS_BYTES = 280 * MIB;

/** Memory of the tracing thread, which has a TensorFlow.js of its own: 80 to 110 MiB with SmolLM2-135M. */
export const TRACING_THREAD_BYTES = 128 * MIB;

/** Bytes that one operator of a compiled program takes, as measured on SmolLM2-135M with 1,900 to 11,700 operators. */
const OPERATOR_BYTES = 24 * 1024;

/**
 * Number of operators in each layer of a program, and number that each further block of attention adds to a layer, as
 * `readapt graph` counts them.
 */
const OPERATORS = {
  float32: { gradients: 200, forward: 65 },
  int8: { gradients: 315, forward: 112 },
  block: { gradients: 50, forward: 15 },
};

/** Number of operators that each further block of labels adds to a program. */
const LABEL_BLOCK_OPERATORS = 12;

/** Number of compiled programs of a job: losses and gradients, or variants for the search. */
const PROGRAMS = 2;

/** Properties of a job that determine the size of its compiled programs. */
export interface ProgramNeeds {
  /** Whether the job computes with its base in int8. */
  readonly int8: boolean;
  /** Whether the job computes gradients. */
  readonly differentiated: boolean;
  /** Number of tokens of the job's longest row. */
  readonly longest: number;
  /** Largest number of labels in a row of the job. */
  readonly labels: number;
}

/** Size of a job's compiled programs in bytes. */
export function programBytes(config: ModelConfig, { int8, differentiated, longest, labels }: ProgramNeeds): number {
  const { numLayers, vocabSize } = config;
  const pass = differentiated ? 'gradients' : 'forward';
  const ofLayer = OPERATORS[int8 ? 'int8' : 'float32'][pass] + OPERATORS.block[pass] * (attentionBlocks([longest]) - 1);
  const { blocks } = labelBlocks(labels, vocabSize, tokenBudgets('cpu', config).logits);
  return PROGRAMS * (numLayers * ofLayer + LABEL_BLOCK_OPERATORS * blocks) * OPERATOR_BYTES;
}

/** Limit of the memory that a process may use, and the origin of this limit. */
export interface AvailableMemory {
  readonly bytes: number;
  /** Origin of the limit, as messages name it, for example `READAPT_MEMORY`. */
  readonly source: string;
}

/**
 * Number of bytes left for the worker if a control group limits its memory together with that of its training process.
 */
const WORKER_BYTES = 256 * MIB;

/**
 * Returns the largest amount of memory that a process may ever use here, whatever the current load of the machine.
 * @param setting limit in bytes from `READAPT_MEMORY`; null if that is not set
 */
export function largestMemory(setting: number | null): AvailableMemory {
  return leastOf({ bytes: os.totalmem(), source: 'what this machine has' }, setting);
}

/**
 * Returns the amount of memory that this process may use: the setting, if there is one, but not more than the limit of
 * its control group and the machine's free memory. Memory that the process already uses counts as free.
 * @param setting limit in bytes from `READAPT_MEMORY`; null if that is not set
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
