import type { ModelConfig } from '../../models/config/model-config.ts';
import { lastAngles, rotaryAngles } from '../../models/config/rotary-angles.ts';
import { dependsOnTextLength } from '../../models/config/rope.ts';
import { anglesName, angleTypes, CACHED, cachedStateName, type ProgramSizes } from '../decoder/program-spec.ts';
import type { Batch, DecodeStep, LabelTargets } from '../runtime.ts';
import { attentionBlocks, packIntoBins, positionsOf } from './attention-bins.ts';
import { fillBlocks, labelBlocks, labelWeights, type LabelBlocks } from './label-blocks.ts';
import { repeatedTokens, shareNothing, sharePrefixes, sharesOf } from './shared-prefixes.ts';

/** Arrays for some of a program's inputs, each with the input's name. */
export type NamedArrays = readonly (readonly [string, Float32Array | Int32Array])[];

/** Input arrays and sizes of a call that follow from its tokens. */
export interface BoundTokens {
  readonly data: NamedArrays;
  readonly sizes: ProgramSizes;
  /** Number of query blocks of attention. */
  readonly blocks: number;
  /** Number of blocks that the labels are divided into. Losses are computed block by block. */
  readonly labelBlocks: number;
  /**
   * Index, for each token of the call, of the program's token that computes it, [tokens]. Tokens with the same text up
   * to and including them share one of the program's tokens.
   */
  readonly indices: Int32Array;
}

export interface BatchOptions {
  /**
   * Whether dropout is on. Each sequence then has a mask of its own, so sequences with equal beginnings share no
   * computation.
   */
  readonly dropping: boolean;
  /**
   * Largest number of elements that one array of logits, [labels, vocab], may have. If a call needs more, its labels
   * are divided into blocks.
   */
  readonly maxLogits: number;
}

/**
 * Makes the batch-dependent inputs and sizes of a program. Shared beginnings of sequences are computed once, unless
 * rotary angles depend on the length of the text or dropout differs between sequences.
 */
export function bindBatch(config: ModelConfig, batch: Batch, { dropping, maxLogits }: BatchOptions): BoundTokens {
  const alone = dependsOnTextLength(config) || dropping;
  const shared = alone ? shareNothing(batch) : sharePrefixes(batch, config.vocabSize);
  const { representatives, indices } = shared;
  const blocks = attentionBlocks(batch.sequenceLengths);
  const { tokenPlaces, binTokens, binSequences, bins, binLength } = packIntoBins(batch.sequenceLengths, blocks);
  const repeats = repeatedTokens(shared);
  const tokens = batch.inputIds.length;
  const count = batch.labelPositions.length;
  const head = labelBlocks(count, config.vocabSize, maxLogits);
  const data: NamedArrays = [
    ['input_ids', pick(batch.inputIds, representatives)],
    ['positions', pick(positionsOf(batch.sequenceLengths), representatives)],
    ...angleTypes(config).map((type) => {
      return [anglesName(config, type), pickRows(rotaryAngles(config, batch, type), representatives, tokens)] as const;
    }),
    ['bin_tokens', pick(indices, binTokens)],
    ['bin_sequences', binSequences],
    ['token_places', pick(tokenPlaces, representatives)],
    ['repeat_tokens', pick(indices, repeats)],
    ['repeat_places', pick(tokenPlaces, repeats)],
    ['token_shares', sharesOf(shared)],
    ['label_positions', fillBlocks(pick(indices, batch.labelPositions), head)],
    ['label_ids', fillBlocks(batch.labelIds, head)],
    ['label_weights', labelWeights(count, head)],
    ...(batch.targets ? targetArrays(batch.targets, head) : []),
  ];
  const perBlock = { bins, binLength: binLength / blocks, labels: head.labels };
  const sizes = { ...perBlock, tokens: representatives.length, repeats: repeats.length, slots: 0 };
  return { data, sizes, blocks, labelBlocks: head.blocks, indices };
}

/**
 * Lays out the ids and shares of soft targets as [perLabel, blocks · labels]: the first target of every label, then the
 * second, and so on. Padding labels have shares of 0.
 */
function targetArrays({ perLabel, ids, shares }: LabelTargets, { blocks, labels }: LabelBlocks): NamedArrays {
  const width = blocks * labels;
  const columns = { ids: new Int32Array(perLabel * width), shares: new Float32Array(perLabel * width) };
  for (let at = 0; at < ids.length; at++) {
    const place = (at % perLabel) * width + Math.floor(at / perLabel);
    columns.ids[place] = ids[at]!;
    columns.shares[place] = shares[at]!;
  }
  return [
    ['target_ids', columns.ids],
    ['target_shares', columns.shares],
  ];
}

/** Makes the token-dependent inputs and sizes of a `decode` program. The cached keys and values are not copied. */
export function bindStep(config: ModelConfig, { inputIds, positions, cache, slots }: DecodeStep): BoundTokens {
  const layers = [...Array(config.numLayers).keys()];
  const data: NamedArrays = [
    ['input_ids', inputIds],
    ['positions', positions],
    ...angleTypes(config).map((type) => [anglesName(config, type), lastAngles(config, positions, type)] as const),
    ['slots', Int32Array.from({ length: slots }, (_, slot) => slot)],
    ...layers.flatMap((layer) => CACHED.map((part) => [cachedStateName(part, layer), cache[part][layer]!] as const)),
  ];
  const tokens = inputIds.length;
  const sizes = { tokens, labels: tokens, bins: 0, binLength: 0, repeats: 0, slots };
  return { data, sizes, blocks: 1, labelBlocks: 1, indices: Int32Array.from(inputIds.keys()) };
}

/** Returns the elements of `values` at the given indices. */
function pick(values: Int32Array, indices: Int32Array): Int32Array {
  return indices.map((index) => values[index]!);
}

/**
 * Selects rows of an array [count, n] by their indices in ascending order. Returns the array itself if all rows are
 * selected.
 */
function pickRows(values: Float32Array, rows: Int32Array, count: number): Float32Array {
  if (rows.length === count) return values;
  const width = values.length / count;
  const picked = new Float32Array(rows.length * width);
  for (const [index, row] of rows.entries()) picked.set(values.subarray(row * width, (row + 1) * width), index * width);
  return picked;
}
