import type { ModelConfig } from '../../models/config/model-config.ts';
import type { DeviceKind } from '../../options/devices.ts';

/** How much goes through a device at once. An example that is longer goes alone. */
export interface TokenBudgets {
  /** Largest number of input tokens in a forward pass. */
  readonly forward: number;
  /** Largest number of input tokens in a forward and backward pass, whose activations are kept. */
  readonly gradients: number;
  /**
   * Largest number of elements in one array of logits, [labels, vocab], of which two to four exist at a time. An example with
   * more labels has its losses computed in blocks of labels.
   */
  readonly logits: number;
}

/** Measured on CPUs: enough for matrix products at full speed, few enough for the memory and for the wait before an abort. */
const CPU = { forward: 1024, logits: 2 ** 24 };
const CPU_GRADIENTS = { least: 384, most: 768 };
/** Largest number of hidden features of all layers in a micro-batch on CPUs: 728 tokens at the size of SmolLM2-135M. */
const CPU_FEATURES = 12 * 2 ** 20;

/**
 * A GPU has thousands of lanes to fill and pays for every call, so it gets as many tokens as fit into a part of a small
 * card's memory. These numbers are chosen by that reasoning; they were not measured on a card.
 */
const GPU: TokenBudgets = { forward: 8192, gradients: 4096, logits: 2 ** 26 };
const GPU_ACTIVATION_BYTES = 2 ** 32;

/** Devices that run whole graphs in a memory of their own. Eager ones keep more activations, for they compute none again. */
const GPUS: ReadonlySet<DeviceKind> = new Set(['cuda', 'webgpu']);

/** Returns the budgets of a device for one base. */
export function tokenBudgets(kind: DeviceKind, config: ModelConfig): TokenBudgets {
  const gradients = cpuGradients(config);
  if (!GPUS.has(kind)) return { ...CPU, gradients };
  const fitting = Math.floor(GPU_ACTIVATION_BYTES / activationBytes(config));
  return { ...GPU, gradients: Math.max(gradients, Math.min(GPU.gradients, fitting)) };
}

/**
 * Each operator of a graph costs some microseconds besides its work, which is little where layers are wide and much where
 * they are narrow, so that a small base gets more tokens at a time.
 */
function cpuGradients({ hiddenSize, numLayers }: ModelConfig): number {
  const tokens = Math.floor(CPU_FEATURES / (hiddenSize * numLayers));
  return Math.min(CPU_GRADIENTS.most, Math.max(CPU_GRADIENTS.least, tokens));
}

/**
 * Bytes of activations that a token keeps between the forward and the backward pass: eight arrays of the hidden size and two
 * of the MLP's size in each layer, in float32. Measured with SmolLM2-135M and rank 8 on all linear layers, on the CPU:
 * 0.83 MiB a token in rows of 32 tokens and 1.04 MiB in rows of 256, where this says 0.88.
 */
function activationBytes({ numLayers, hiddenSize, intermediateSize }: ModelConfig): number {
  return 4 * numLayers * (8 * hiddenSize + 2 * intermediateSize);
}
