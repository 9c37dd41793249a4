import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { attentionBlocks, packIntoBins, positionsOf } from '../../../../core/engine/call/attention-bins.ts';
import { CompiledRuntime } from '../../../../core/engine/compiled/compiled-runtime.ts';
import { attend } from '../../../../core/engine/decoder/attention/attention.ts';
import { attentionMasks } from '../../../../core/engine/decoder/attention/attention-mask.ts';
import { EagerRuntime } from '../../../../core/engine/eager/eager-runtime.ts';
import { selectBackend } from '../../../../core/engine/eager/select-backend.ts';
import { randomSource, relativeError } from '../support/numeric.ts';
import { disposeAfterEach } from '../support/opened-runtimes.ts';
import { everyModule, expectSameResults, variationCase } from '../support/variations.ts';

const [HEADS, KEY_HEADS, HEAD_DIM] = [4, 2, 3];
const LENGTHS = [7, 3, 11, 5];

/**
 * Queries, keys and values of the tokens, each at its place; other places hold arbitrary numbers, which must not
 * matter.
 */
function randomInputs(blocks: number) {
  const bins = packIntoBins(LENGTHS, blocks);
  const random = randomSource(5);
  const perToken = (heads: number) => Array.from(bins.tokenPlaces, () => tokenValues(heads * HEAD_DIM, random));
  return { bins, q: perToken(HEADS), k: perToken(KEY_HEADS), v: perToken(KEY_HEADS), dy: perToken(HEADS) };
}

const tokenValues = (width: number, random: () => number) =>
  Float32Array.from({ length: width }, () => 2 * random() - 1);

/** Copies the tokens' values to their places, [bins, heads, binLength, headDim]. */
function toPlaces(
  tokens: readonly Float32Array[],
  { bins, binLength, tokenPlaces }: ReturnType<typeof packIntoBins>,
  other: number,
) {
  const width = tokens[0]!.length;
  const flat = new Float32Array(bins * binLength * width).fill(other);
  for (const [token, place] of tokenPlaces.entries()) flat.set(tokens[token]!, place * width);
  const byPlace = tf.tensor(flat, [bins, binLength, width / HEAD_DIM, HEAD_DIM]);
  return tf.transpose(byPlace, [0, 2, 1, 3]) as tf.Tensor4D;
}

/** Values at the tokens' places, token by token. */
function fromPlaces(x: tf.Tensor4D, { tokenPlaces }: ReturnType<typeof packIntoBins>): Float32Array {
  const byPlace = tf.transpose(x, [0, 2, 1, 3]);
  const width = x.shape[1] * x.shape[3];
  const rows = tf.gather(byPlace.reshape([-1, width]), tf.tensor1d(tokenPlaces, 'int32'));
  return rows.dataSync<'float32'>();
}

/** Output of attention and its gradients by queries, keys and values, at the tokens only. */
function attentionOf(blocks: number, { window, cap }: { readonly window: number | null; readonly cap: number | null }) {
  const { bins, q, k, v, dy } = randomInputs(blocks);
  const places = [bins.bins, bins.binLength] as [number, number];
  const positions = positionsOf(LENGTHS);
  const contents = {
    sequences: tf.tensor2d(bins.binSequences, places, 'int32'),
    positions: tf.tensor2d(
      bins.binTokens.map((token) => positions[token]!),
      places,
      'int32',
    ),
  };
  const masks = attentionMasks(contents, { window, blocks });
  const compute = (...[q, k, v]: tf.Tensor[]) =>
    attend({ q: q as tf.Tensor4D, k: k as tf.Tensor4D, v: v as tf.Tensor4D }, masks, cap);
  const inputs = [q, k, v].map((tokens) => toPlaces(tokens, bins, 0.5));
  const grads = tf.grads(compute)(inputs, toPlaces(dy, bins, 0));
  return [compute(...inputs), ...grads].map((tensor) => fromPlaces(tensor as tf.Tensor4D, bins));
}

describe('attention in blocks of queries', () => {
  beforeAll(() => selectBackend('cpu'));

  it.each([
    { window: null, cap: null },
    { window: 4, cap: null },
    { window: null, cap: 2 },
    { window: 2, cap: 1.5 },
  ])('gives the outputs and gradients of attention at once, with %o', (options) => {
    const [output, dq, dk, dv] = attentionOf(1, options);
    for (const blocks of [2, 4, 8]) {
      const found = attentionOf(blocks, options);
      for (const [index, expected] of [output, dq, dk, dv].entries()) {
        expect(relativeError(found[index]!, expected!), `${blocks} blocks, result ${index}`).toBeLessThan(1e-6);
      }
    }
  });

  it('takes more blocks for longer sequences', () => {
    const blocksOf = (...lengths: number[]) => attentionBlocks(lengths);
    expect([blocksOf(1), blocksOf(512, 3), blocksOf(513), blocksOf(1025, 4), blocksOf(2048)]).toEqual([1, 1, 2, 4, 4]);
    expect([blocksOf(8192), blocksOf(100_000)]).toEqual([16, 16]);
  });
});

describe('a program with attention in blocks', () => {
  const opened = disposeAfterEach();

  // Scores of so many keys are most of the work, so there is one layer, and it is adapted.
  const SMALL = { numLayers: 1, numHeads: 2, numKeyValueHeads: 1, headDim: 4, hiddenSize: 8, intermediateSize: 8 };

  it.each([
    { name: 'several rows', lengths: [520, 30], labels: 3, config: SMALL },
    {
      name: 'windows and capped scores',
      lengths: [520],
      config: { ...SMALL, modelType: 'gemma2', attentionSoftcap: 2, slidingWindows: [300] },
    },
  ])('computes on the compiled runtime what it does eagerly: $name', async (variation) => {
    const example = variationCase({ ranks: everyModule, ...variation });
    const compiled = opened(new CompiledRuntime(example.base, { threads: 1 }));
    await expectSameResults([compiled, opened(new EagerRuntime(example.base))], example, 1e-4, [example.adapter]);
  });
});
