import { architectureOf } from '../../models/architecture/architecture.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import { attentionBlocks } from '../call/attention-bins.ts';
import { labelBlocks } from '../call/label-blocks.ts';
import type { ProgramKind, Recompute } from '../decoder/program-spec.ts';

import { tokenBudgets } from '../devices/token-budgets.ts';

/** Properties of an adapter that determine the memory of a call. */
export interface AdaptedWidths {
  readonly dora: boolean;
  readonly dropout: boolean;
  /** Sum of the ranks over the adapted modules of one layer, for the layer with the largest sum. */
  readonly ranks: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** Sizes of one call that determine its memory. */
export interface CallSizes {
  /** Number of tokens that go through the model. */
  readonly tokens: number;
  /** Number of tokens of the longest sequence. */
  readonly longest: number;
  /**
   * Number of places in all attention bins together. At least the number of tokens, because bins are padded. Default:
   * `tokens`.
   */
  readonly places?: number;
  readonly labels: number;
  /** Number of soft targets of each label. Default: 0, for labels of one token. */
  readonly targets?: number;
  /**
   * Largest number of elements that one array of logits may have. If a call needs more, its losses are computed in
   * blocks of labels. Default: the limit for the CPU.
   */
  readonly maxLogits?: number;
}

/** Properties of a call that determine its memory, apart from its sizes. */
export interface ActivationOptions {
  readonly config: ModelConfig;
  readonly kind: ProgramKind;
  readonly adapted: AdaptedWidths;
  readonly recompute: Recompute;
}

/** Size of a float32 in bytes. */
const FLOAT = 4;

/**
 * Number of arrays of attention scores, [heads, block, places], that exist at a time: scores and probabilities and, for
 * gradients, one array of gradients.
 */
const SCORES = { forward: 2, gradients: 3 };

/**
 * Number of arrays [labels, vocab] that exist at a time for each block of labels: logits and their softmax and, with a
 * cap, two more for its gradient.
 */
const LOGITS = { plain: 2, capped: 4 };

/**
 * Number of arrays [labels, hidden] for the losses: hidden states, embeddings of the ids, gradients by block and in
 * total. Soft targets add further embeddings.
 */
const LABEL_STATES = 5;

/**
 * Number of arrays [tokens, intermediate] that exist at a time in the MLP of one layer, including its 8-bit operands.
 */
const MLP = { forward: 2, gradients: 4 };

/**
 * Estimated peak memory of a call in bytes, without weights and factors: values that the forward pass keeps for the
 * gradients, and the arrays of the layer in progress. The estimate follows from the kept values (`rematerialize`), and
 * `test/integration/engine/peaks.test.ts` compares it with measured peaks.
 */
export function activationBytes(options: ActivationOptions, sizes: CallSizes): number {
  const { config, kind, recompute } = options;
  const perLayer = keptFloats(options, sizes);
  const stream = 2 * sizes.tokens * config.hiddenSize;
  const pass = kind === 'gradients' ? 'gradients' : 'forward';
  const working = scoreFloats(config, sizes) * SCORES[pass] + sizes.tokens * config.intermediateSize * MLP[pass];
  const logits = headFloats(config, sizes);
  // Without gradients, a layer's arrays are freed before the head is computed.
  if (pass === 'forward') return FLOAT * (stream + Math.max(perLayer + working, logits));
  const kept = recompute === 'layers' ? config.numLayers * stream + perLayer : config.numLayers * perLayer;
  return FLOAT * (kept + working + logits);
}

/** Number of float32 values for losses and their gradients by the last hidden states that exist at a time. */
function headFloats(
  config: ModelConfig,
  { labels, targets = 0, maxLogits = tokenBudgets('cpu', config).logits }: CallSizes,
): number {
  const { vocabSize, hiddenSize, logitSoftcap = null } = config;
  const block = labelBlocks(labels, vocabSize, maxLogits);
  const logits = block.labels * vocabSize * LOGITS[logitSoftcap === null ? 'plain' : 'capped'];
  return logits + (LABEL_STATES + targets) * labels * hiddenSize;
}

/** Number of float32 values that one layer keeps from the forward pass for its gradients. */
function keptFloats({ config, adapted, recompute }: ActivationOptions, sizes: CallSizes): number {
  const { numHeads, numKeyValueHeads, headDim, hiddenSize, intermediateSize } = config;
  const { norms, queryKeyNorm } = architectureOf(config);
  const [queries, keys] = [numHeads * headDim, numKeyValueHeads * headDim];
  const { tokens, places = tokens, longest } = sizes;
  const normed = (queryKeyNorm === null ? 0 : queries + keys) + outputNorms(norms) * hiddenSize;
  // Masks and masked inputs are kept only if little is recomputed.
  const dropped = adapted.dropout && recompute === 'cheap' ? 2 * adapted.inFeatures : 0;
  const ofAdapter = adapted.ranks + (adapted.dora ? adapted.outFeatures : 0) + dropped;
  const perToken = 2 * hiddenSize + 2 * intermediateSize + queries + normed + ofAdapter;
  const probabilities = recompute === 'cheap' ? places * longest * numHeads : 0;
  return tokens * perToken + places * (2 * queries + 2 * keys) + probabilities;
}

function outputNorms({ attention, mlp }: ReturnType<typeof architectureOf>['norms']): number {
  return Number(attention.output !== null) + Number(mlp.output !== null);
}

/**
 * Number of float32 values in the attention scores of all query blocks together. The i-th of n blocks attends to i/n of
 * the keys.
 */
function scoreFloats({ numHeads }: ModelConfig, { tokens, places = tokens, longest }: CallSizes): number {
  const blocks = attentionBlocks([longest]);
  return ((blocks + 1) / (2 * blocks)) * places * longest * numHeads;
}

const LEVELS: readonly Recompute[] = ['cheap', 'scores', 'layers'];

/**
 * Chooses the extent of recomputation in a call's backward pass: the smallest with which the call fits into the memory,
 * or the largest if the call fits with none.
 */
export function recomputeWithin(
  bytes: number,
  options: Omit<ActivationOptions, 'recompute' | 'kind'>,
  sizes: CallSizes,
): Recompute {
  const least = attentionBlocks([sizes.longest]) > 1 ? 1 : 0;
  const fits = (recompute: Recompute) => activationBytes({ ...options, recompute, kind: 'gradients' }, sizes) <= bytes;
  return LEVELS.slice(least).find(fits) ?? 'layers';
}

/** Summarizes an adapter by the properties that determine its memory; null means the base alone. */
export function adaptedWidths(adapter: Adapter | null, dropout = false): AdaptedWidths {
  const layers = new Map<string, { ranks: number; inFeatures: number; outFeatures: number }>();
  let dora = false;
  for (const [module, { rank, inFeatures, outFeatures, magnitude }] of adapter?.modules ?? []) {
    const layer = /\.layers\.\d+\./.exec(module)?.[0] ?? '';
    const sums = layers.get(layer) ?? { ranks: 0, inFeatures: 0, outFeatures: 0 };
    sums.ranks += rank;
    sums.inFeatures += inFeatures;
    sums.outFeatures += outFeatures;
    layers.set(layer, sums);
    dora ||= magnitude !== undefined;
  }
  const most = (name: 'ranks' | 'inFeatures' | 'outFeatures') =>
    Math.max(0, ...[...layers.values()].map((sums) => sums[name]));
  return { dora, dropout, ranks: most('ranks'), inFeatures: most('inFeatures'), outFeatures: most('outFeatures') };
}
