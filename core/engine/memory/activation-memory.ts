import { architectureOf } from '../../models/architecture/architecture.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import { attentionBlocks } from '../call/attention-bins.ts';
import { labelBlocks } from '../call/label-blocks.ts';
import type { ProgramKind, Recompute } from '../decoder/program-spec.ts';

import { tokenBudgets } from '../devices/token-budgets.ts';

/** What of an adapter decides how much a call needs. */
export interface AdaptedWidths {
  readonly dora: boolean;
  readonly dropout: boolean;
  /** Sums over the adapted modules of one layer, the most of any. */
  readonly ranks: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** Sizes of one call. */
export interface CallSizes {
  /** Tokens that go through the model. */
  readonly tokens: number;
  /** Tokens of the longest sequence. */
  readonly longest: number;
  /** Places of all bins of attention; at least as many as tokens. Default: `tokens`. */
  readonly places?: number;
  readonly labels: number;
  /** Tokens with shares that gradients take for each label. Default: 0, where each label is one token. */
  readonly targets?: number;
  /** Elements of an array of logits, above which losses are computed in blocks of labels. Default: as on the CPU. */
  readonly mostLogits?: number;
}

/** A call, as far as its memory depends on it. */
export interface ActivationOptions {
  readonly config: ModelConfig;
  readonly kind: ProgramKind;
  readonly adapted: AdaptedWidths;
  readonly recompute: Recompute;
}

/** Bytes of a float32. */
const FLOAT = 4;

/** Arrays of [heads, block, places] at a time: scores and probabilities, for gradients with both of their gradients. */
const SCORES = { forward: 2, gradients: 3 };

/** Arrays of [labels, vocab] at a time for each block of labels: logits and their softmax, with a cap also its gradient. */
const LOGITS = { plain: 2, capped: 4 };

/**
 * Arrays of [labels, hidden] that losses are made of: hidden states, embeddings of the ids, gradients by block and in all. The
 * embeddings of several targets are further ones.
 */
const LABEL_STATES = 5;

/** Arrays of [tokens, intermediate] at a time in the MLP of one layer, its 8-bit operands included. */
const MLP = { forward: 2, gradients: 4 };

/**
 * Bytes that a call needs at its peak beside weights and factors: what its forward pass keeps for the gradients, and the
 * arrays of the layer that is being computed. It follows what programs keep (`rematerialize`), and is held to measured
 * peaks in `test/unit/engine/memory/peaks.test.ts`.
 */
export function activationBytes(options: ActivationOptions, sizes: CallSizes): number {
  const { config, kind, recompute } = options;
  const perLayer = keptFloats(options, sizes);
  const stream = 2 * sizes.tokens * config.hiddenSize;
  const pass = kind === 'gradients' ? 'gradients' : 'forward';
  const working = scoreFloats(config, sizes) * SCORES[pass] + sizes.tokens * config.intermediateSize * MLP[pass];
  const logits = headFloats(config, sizes);
  // Without gradients, a layer's arrays are gone when the head is computed.
  if (pass === 'forward') return FLOAT * (stream + Math.max(perLayer + working, logits));
  const kept = recompute === 'layers' ? config.numLayers * stream + perLayer : config.numLayers * perLayer;
  return FLOAT * (kept + working + logits);
}

/** Floats that losses and their gradients by the last hidden states take at a time. */
function headFloats(
  config: ModelConfig,
  { labels, targets = 0, mostLogits = tokenBudgets('cpu', config).logits }: CallSizes,
): number {
  const { vocabSize, hiddenSize, logitSoftcap = null } = config;
  const block = labelBlocks(labels, vocabSize, mostLogits);
  const logits = block.labels * vocabSize * LOGITS[logitSoftcap === null ? 'plain' : 'capped'];
  return logits + (LABEL_STATES + targets) * labels * hiddenSize;
}

/** Floats that one layer keeps for its gradients. */
function keptFloats({ config, adapted, recompute }: ActivationOptions, sizes: CallSizes): number {
  const { numHeads, numKeyValueHeads, headDim, hiddenSize, intermediateSize } = config;
  const { norms, queryKeyNorm } = architectureOf(config);
  const [queries, keys] = [numHeads * headDim, numKeyValueHeads * headDim];
  const { tokens, places = tokens, longest } = sizes;
  const normed = (queryKeyNorm === null ? 0 : queries + keys) + outputNorms(norms) * hiddenSize;
  // Masks and what they leave are kept only where little is computed again.
  const dropped = adapted.dropout && recompute === 'cheap' ? 2 * adapted.inFeatures : 0;
  const ofAdapter = adapted.ranks + (adapted.dora ? adapted.outFeatures : 0) + dropped;
  const perToken = 2 * hiddenSize + 2 * intermediateSize + queries + normed + ofAdapter;
  const probabilities = recompute === 'cheap' ? places * longest * numHeads : 0;
  return tokens * perToken + places * (2 * queries + 2 * keys) + probabilities;
}

function outputNorms({ attention, mlp }: ReturnType<typeof architectureOf>['norms']): number {
  return Number(attention.output !== null) + Number(mlp.output !== null);
}

/** Floats in the scores of all blocks of queries, of which the i-th of n sees i/n of the keys. */
function scoreFloats({ numHeads }: ModelConfig, { tokens, places = tokens, longest }: CallSizes): number {
  const blocks = attentionBlocks([longest]);
  return ((blocks + 1) / (2 * blocks)) * places * longest * numHeads;
}

const LEVELS: readonly Recompute[] = ['cheap', 'scores', 'layers'];

/** Chooses what a call's gradients compute again: as little as fits into the memory, or all that can be. */
export function recomputeWithin(
  bytes: number,
  options: Omit<ActivationOptions, 'recompute' | 'kind'>,
  sizes: CallSizes,
): Recompute {
  const least = attentionBlocks([sizes.longest]) > 1 ? 1 : 0;
  const fits = (recompute: Recompute) => activationBytes({ ...options, recompute, kind: 'gradients' }, sizes) <= bytes;
  return LEVELS.slice(least).find(fits) ?? 'layers';
}

/** Summarizes an adapter; null stands for the base alone. */
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
