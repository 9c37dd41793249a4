import type { ModelConfig } from '../../models/config/model-config.ts';
import { rotaryAngles } from '../../models/config/rotary-angles.ts';
import { dependsOnTextLength } from '../../models/config/rope.ts';
import { anglesName, angleTypes, type ProgramSizes } from '../decoder/program-spec.ts';
import type { Batch } from '../runtime.ts';
import { attentionBlocks, packIntoBins, positionsOf } from './attention-bins.ts';
import { repeatedTokens, shareNothing, sharePrefixes, sharesOf } from './shared-prefixes.ts';

/** Data for some of a program's inputs, by name. */
export type NamedArrays = readonly (readonly [string, Float32Array | Int32Array])[];

/**
 * Makes the batch's part of a program's inputs and sizes. What sequences have in common at their beginning is computed once,
 * unless angles depend on the length of the text or each sequence drops inputs of its own.
 */
export function bindBatch(
  config: ModelConfig,
  batch: Batch,
  dropping: boolean,
): { readonly data: NamedArrays; readonly sizes: ProgramSizes; readonly blocks: number } {
  const alone = dependsOnTextLength(config) || dropping;
  const shared = alone ? shareNothing(batch) : sharePrefixes(batch, config.vocabSize);
  const { representatives, indices } = shared;
  const blocks = attentionBlocks(batch.sequenceLengths);
  const { tokenPlaces, binTokens, binSequences, bins, binLength } = packIntoBins(batch.sequenceLengths, blocks);
  const repeats = repeatedTokens(shared);
  const tokens = batch.inputIds.length;
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
    ['label_positions', pick(indices, batch.labelPositions)],
    ['label_ids', batch.labelIds],
  ];
  const labels = batch.labelPositions.length;
  const perBlock = { bins, binLength: binLength / blocks };
  return { data, blocks, sizes: { ...perBlock, labels, tokens: representatives.length, repeats: repeats.length } };
}

/** Returns the values at the given indices. */
function pick(values: Int32Array, indices: Int32Array): Int32Array {
  return indices.map((index) => values[index]!);
}

/** Returns rows, in ascending order, of an array [count, n]; the array itself where they are all of its rows. */
function pickRows(values: Float32Array, rows: Int32Array, count: number): Float32Array {
  if (rows.length === count) return values;
  const width = values.length / count;
  const picked = new Float32Array(rows.length * width);
  for (const [index, row] of rows.entries()) picked.set(values.subarray(row * width, (row + 1) * width), index * width);
  return picked;
}
