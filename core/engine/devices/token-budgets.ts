import type { ModelConfig } from '../../models/config/model-config.ts';
import type { DeviceKind } from '../../options/devices.ts';

/** Limits for one pass on a device. An example that exceeds them is processed alone. */
export interface TokenBudgets {
  /** Largest number of input tokens in a forward pass. */
  readonly forward: number;
  /** Largest number of input tokens in a forward and backward pass, which keeps activations. */
  readonly gradients: number;
  /**
   * Largest number of elements in one array of logits, [labels, vocab], of which two to four exist at a time. The
   * losses of an example with more labels are computed in blocks of labels.
   */
  readonly logits: number;
}

/**
 * Limits for CPUs, chosen by measurement: enough tokens for matrix products to run at full speed, but few enough for
 * the memory and for a quick abort.
 */
const CPU = { forward: 1024, logits: 2 ** 24 };
const CPU_GRADIENTS = { least: 384, most: 768 };
/** Largest number of hidden features of all layers in a micro-batch on CPUs: 728 tokens at the size of SmolLM2-135M. */
const CPU_FEATURES = 12 * 2 ** 20;

/**
 * Limits for GPUs. A GPU has thousands of lanes to fill and a cost per call, so it gets as many tokens as fit into a
 * part of a small card's memory. The numbers follow from that reasoning; they were not measured on a card.
 */
const GPU: TokenBudgets = { forward: 8192, gradients: 4096, logits: 2 ** 26 };
const GPU_ACTIVATION_BYTES = 2 ** 32;

/**
 * Devices that run whole graphs in their own memory. Eager devices keep more activations, because they do not recompute
 * any.
 */
const GPUS: ReadonlySet<DeviceKind> = new Set(['cuda', 'webgpu']);

/** Returns the limits for one pass with a base on a device. */
export function tokenBudgets(kind: DeviceKind, config: ModelConfig): TokenBudgets {
  const gradients = cpuGradients(config);
  if (!GPUS.has(kind)) return { ...CPU, gradients };
  const fitting = Math.floor(GPU_ACTIVATION_BYTES / activationBytes(config));
  return { ...GPU, gradients: Math.max(gradients, Math.min(GPU.gradients, fitting)) };
}

/**
 * Limit for gradients on CPUs. Each operator of a graph costs some microseconds in addition to its work. This matters
 * only for narrow layers, so a small base gets more tokens at a time.
 */
function cpuGradients({ hiddenSize, numLayers }: ModelConfig): number {
  const tokens = Math.floor(CPU_FEATURES / (hiddenSize * numLayers));
  return Math.min(CPU_GRADIENTS.most, Math.max(CPU_GRADIENTS.least, tokens));
}

/**
 * Estimated bytes of activations that a token keeps between the forward and the backward pass: eight arrays of the
 * hidden size and two of the MLP's size in each layer, in float32. With SmolLM2-135M and rank 8 on all linear layers,
 * the CPU needed 0.83 MiB per token in rows of 32 tokens and 1.04 MiB in rows of 256, where this estimate is 0.88.
 */
function activationBytes({ numLayers, hiddenSize, intermediateSize }: ModelConfig): number {
  return 4 * numLayers * (8 * hiddenSize + 2 * intermediateSize);
}
