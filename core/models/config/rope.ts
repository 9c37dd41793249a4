import type { RopeSettings, RotaryScaling } from './model-config.ts';

/** Part of a model's config that determines its rotary angles. */
export interface RopeConfig extends RopeSettings {
  readonly headDim: number;
  readonly maxPositionEmbeddings: number;
  readonly slidingRope?: RopeSettings | null;
  readonly partialRotaryFactor?: number | null;
}

/** Types of layers, named as in config.json's `layer_types`; the second type has a sliding window. */
export const LAYER_TYPES = ['full_attention', 'sliding_attention'] as const;

export type LayerType = (typeof LAYER_TYPES)[number];

/** Number of rotated pairs of features in a head. */
export function rotaryPairs(headDim: number, partialRotaryFactor: number | null | undefined): number {
  return Math.floor(Math.floor(headDim * (partialRotaryFactor ?? 1)) / 2);
}

/**
 * Computes the rotary frequencies, in radians per position, of each rotated pair of a head's features (Su et al. 2021):
 * θ^(−2i / features) with the config's scaling, float32, [headDim / 2] or fewer with a partial factor. The steps are
 * those of transformers' `ROPE_INIT_FUNCTIONS` for a model that has not seen a longer text before.
 * @param sequenceLength largest position of the forward pass plus one, which `dynamic` and `longrope` depend on
 * @param layerType sliding-window layers may have frequencies of their own
 */
export function rotaryFrequencies(
  config: RopeConfig,
  sequenceLength: number,
  layerType: LayerType = 'full_attention',
): Float32Array {
  const { ropeTheta, ropeScaling } = settingsOf(config, layerType);
  const features = 2 * rotaryPairs(config.headDim, config.partialRotaryFactor);
  const base = { theta: ropeTheta, features };
  switch (ropeScaling?.type) {
    case undefined:
      return frequencies(base);
    case 'linear':
      return frequencies(base).map((frequency) => frequency / ropeScaling.factor);
    case 'dynamic':
      return frequencies({
        theta: dynamicTheta(base, ropeScaling.factor, config.maxPositionEmbeddings, sequenceLength),
        features,
      });
    case 'llama3':
      return frequencies(base).map((frequency) => llama3Frequency(frequency, ropeScaling));
    case 'yarn':
      return yarnFrequencies(base, ropeScaling);
    case 'longrope': {
      const long = sequenceLength > ropeScaling.originalMaxPositionEmbeddings;
      const factors = long ? ropeScaling.longFactor : ropeScaling.shortFactor;
      return wavelengths(base).map((wavelength, pair) => 1 / (Math.fround(factors[pair]!) * wavelength));
    }
  }
}

/**
 * Returns the factor by which cosines and sines are multiplied; attention scores are scaled by its square. The factor
 * is 1 except for `yarn` and `longrope`, which sharpen attention over longer texts.
 */
export function attentionScale(config: RopeConfig, layerType: LayerType = 'full_attention'): number {
  const { ropeScaling: scaling } = settingsOf(config, layerType);
  if (scaling?.type !== 'yarn' && scaling?.type !== 'longrope') return 1;
  if (scaling.attentionFactor !== null) return scaling.attentionFactor;
  if (scaling.type === 'yarn') return yarnScale(scaling);
  if (scaling.factor <= 1) return 1;
  return Math.sqrt(1 + Math.log(scaling.factor) / Math.log(scaling.originalMaxPositionEmbeddings));
}

/** Whether a token's angles depend on the length of its text in addition to its position. */
export function dependsOnTextLength(config: RopeConfig): boolean {
  return LAYER_TYPES.some((type) => {
    const kind = settingsOf(config, type).ropeScaling?.type;
    return kind === 'dynamic' || kind === 'longrope';
  });
}

function settingsOf(config: RopeConfig, layerType: LayerType): RopeSettings {
  return layerType === 'sliding_attention' ? (config.slidingRope ?? config) : config;
}

interface Base {
  readonly theta: number;
  /** Number of rotated features of a head; always even. */
  readonly features: number;
}

/** θ^(2i / features), in positions per radian: float32, with the exponent rounded first as in PyTorch. */
function wavelengths({ theta, features }: Base): Float32Array {
  return Float32Array.from({ length: features / 2 }, (_, pair) => theta ** Math.fround((2 * pair) / features));
}

function frequencies(base: Base): Float32Array {
  return wavelengths(base).map((wavelength) => 1 / wavelength);
}

/** NTK scaling: θ grows as a text gets longer than the trained length. */
function dynamicTheta({ theta, features }: Base, factor: number, maxLength: number, length: number): number {
  const stretch = (factor * Math.max(length, maxLength)) / maxLength - (factor - 1);
  return theta * stretch ** (features / (features - 2));
}

/**
 * Scales a frequency as Llama 3.1 does: divides a low frequency by the factor, keeps a high one, and blends the two
 * values for a frequency in between.
 */
function llama3Frequency(frequency: number, scaling: Scaling<'llama3'>): number {
  const rotations = (scaling.originalMaxPositionEmbeddings * frequency) / (2 * Math.PI);
  const blend = (rotations - scaling.lowFreqFactor) / (scaling.highFreqFactor - scaling.lowFreqFactor);
  const kept = Math.min(1, Math.max(0, blend));
  return frequency * (kept + (1 - kept) / scaling.factor);
}

/**
 * Computes the frequencies of YaRN (Peng et al. 2023). The frequency of a pair with fewer than `betaSlow` rotations in
 * the trained length is divided by the factor; up to `betaFast` rotations, the divided and the original frequency are
 * blended.
 */
function yarnFrequencies(base: Base, scaling: Scaling<'yarn'>): Float32Array {
  const [low, high] = blendedRange(base, scaling);
  return wavelengths(base).map((wavelength, pair) => {
    const divided = Math.min(1, Math.max(0, (pair - low) / (high - low)));
    return (divided / scaling.factor + (1 - divided)) / wavelength;
  });
}

/** Returns the range of pairs in which frequencies are blended. */
function blendedRange({ theta, features }: Base, scaling: Scaling<'yarn'>): [number, number] {
  const pairOf = (rotations: number) =>
    (features * Math.log(scaling.originalMaxPositionEmbeddings / (rotations * 2 * Math.PI))) / (2 * Math.log(theta));
  const [from, to] = [pairOf(scaling.betaFast), pairOf(scaling.betaSlow)];
  const low = Math.max(scaling.truncate ? Math.floor(from) : from, 0);
  const high = Math.min(scaling.truncate ? Math.ceil(to) : to, features - 1);
  return [low, low === high ? high + 0.001 : high];
}

function yarnScale({ factor, mscale, mscaleAllDim }: Scaling<'yarn'>): number {
  const scale = (multiplier: number) => (factor <= 1 ? 1 : 0.1 * multiplier * Math.log(factor) + 1);
  return mscale !== null && mscaleAllDim !== null ? scale(mscale) / scale(mscaleAllDim) : scale(1);
}

type Scaling<T extends RotaryScaling['type']> = Extract<RotaryScaling, { type: T }>;
