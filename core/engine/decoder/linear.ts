import * as tf from '@tensorflow/tfjs';
import { scaledByMagnitude, type DoraTensors } from './dora.ts';
import { dropOut, type DropoutTensors } from './dropout.ts';

/** The factors of an adapted layer as tensors; `scaling` has one element. */
export interface LoraTensors {
  /** [rank, inFeatures] */
  readonly a: tf.Tensor2D;
  /** [outFeatures, rank] */
  readonly b: tf.Tensor2D;
  readonly scaling: tf.Tensor;
  /** DoRA only. */
  readonly dora?: DoraTensors;
  /** In training of an adapter that has it. */
  readonly dropout?: DropoutTensors;
}

/**
 * A frozen linear layer with an optional LoRA update (Hu et al. 2021): y = x Wᵀ + s · x Aᵀ Bᵀ + b. Of two ways to compute
 * it the one with less work is taken: the update merged into the weights, or kept beside them. DoRA then scales each
 * output, and not the bias.
 * @param x [tokens, inFeatures]
 * @returns [tokens, outFeatures]
 */
export function linear(x: tf.Tensor2D, { weight, bias }: LinearWeights, lora?: LoraTensors): tf.Tensor2D {
  const product = adaptedProduct(x, weight, lora);
  return bias ? product.add(bias) : product;
}

/** Frozen. */
export interface LinearWeights {
  /** [outFeatures, inFeatures] */
  readonly weight: tf.Tensor2D;
  /** [outFeatures] */
  readonly bias?: tf.Tensor1D | undefined;
}

/** Tokens of a batch as far as the choice between the two ways depends on it; one graph serves all batches. */
const TYPICAL_TOKENS = 128;

function adaptedProduct(x: tf.Tensor2D, weight: tf.Tensor2D, lora?: LoraTensors): tf.Tensor2D {
  if (!lora) return tf.matMul(x, weight, false, true);
  return lora.dropout ? droppedProduct(x, weight, lora, lora.dropout) : wholeProduct(x, weight, lora);
}

/**
 * Dropout acts on what A sees: y = x Wᵀ + s · x̃ Aᵀ Bᵀ. DoRA scales what comes of x̃, and adds what that leaves out of x Wᵀ
 * (as PEFT does).
 */
function droppedProduct(x: tf.Tensor2D, weight: tf.Tensor2D, lora: LoraTensors, dropout: DropoutTensors): tf.Tensor2D {
  const kept = dropOut(x, dropout);
  if (!lora.dora) return tf.matMul(x, weight, false, true).add(lowRankProduct(kept, lora));
  return tf.matMul(x.sub(kept), weight, false, true).add(wholeProduct(kept, weight, lora));
}

function wholeProduct(x: tf.Tensor2D, weight: tf.Tensor2D, lora: LoraTensors): tf.Tensor2D {
  const [outFeatures, inFeatures] = weight.shape;
  const merging = outFeatures * inFeatures < TYPICAL_TOKENS * (outFeatures + inFeatures);
  const output = merging ? mergedLinear(x, weight, lora) : branchedLinear(x, weight, lora);
  return lora.dora ? scaledByMagnitude(output, lora.dora, { ...lora, weight }) : output;
}

/** y = x W'ᵀ with W' = W + s · B A. */
export function mergedLinear(x: tf.Tensor2D, weight: tf.Tensor2D, lora: LoraTensors): tf.Tensor2D {
  return withFactors(x, lora, (input, down, up) => {
    const merged = tf.matMul(up, down.mul(lora.scaling)).add(weight) as tf.Tensor2D;
    return {
      output: tf.matMul(input, merged, false, true),
      saved: merged,
      inputGradient: (dy, _down, _up, merged) => tf.matMul(dy, merged),
    };
  });
}

/** y = x Wᵀ + (x (s · A)ᵀ) Bᵀ. */
export function branchedLinear(x: tf.Tensor2D, weight: tf.Tensor2D, lora: LoraTensors): tf.Tensor2D {
  return withFactors(x, lora, (input, down, up) => {
    const scaled = down.mul(lora.scaling) as tf.Tensor2D;
    const update = tf.matMul(tf.matMul(input, scaled, false, true), up, false, true);
    return {
      output: tf.matMul(input, weight, false, true).add(update),
      saved: scaled,
      inputGradient: (dy, _down, up, scaled) => tf.matMul(dy, weight).add(tf.matMul(tf.matMul(dy, up), scaled)),
    };
  });
}

/** y = (x (s · A)ᵀ) Bᵀ. */
function lowRankProduct(x: tf.Tensor2D, lora: LoraTensors): tf.Tensor2D {
  return withFactors(x, lora, (input, down, up) => {
    const scaled = down.mul(lora.scaling) as tf.Tensor2D;
    return {
      output: tf.matMul(tf.matMul(input, scaled, false, true), up, false, true),
      saved: scaled,
      inputGradient: (dy, _down, up, scaled) => tf.matMul(tf.matMul(dy, up), scaled),
    };
  });
}

interface Forward {
  readonly output: tf.Tensor;
  /** A tensor that the input's gradient needs again. */
  readonly saved: tf.Tensor2D;
  readonly inputGradient: (dy: tf.Tensor2D, a: tf.Tensor2D, b: tf.Tensor2D, saved: tf.Tensor2D) => tf.Tensor;
}

/** Differentiates a forward computation with respect to its input and both factors. */
function withFactors(
  x: tf.Tensor2D,
  { a, b, scaling }: LoraTensors,
  forward: (x: tf.Tensor2D, a: tf.Tensor2D, b: tf.Tensor2D) => Forward,
): tf.Tensor2D {
  const apply = tf.customGrad((...args) => {
    const [input, down, up, save] = args as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.GradSaveFunc];
    const { output, saved, inputGradient } = forward(input, down, up);
    save([input, down, up, saved]);
    const gradFunc = (dy: tf.Tensor, kept: tf.Tensor[]) => {
      const [x, a, b, saved] = kept as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
      const outputGradient = dy as tf.Tensor2D;
      return [inputGradient(outputGradient, a, b, saved), ...factorGradients(outputGradient, { x, a, b, scaling })];
    };
    return { value: output, gradFunc };
  });
  return apply(x, a, b) as tf.Tensor2D;
}

/** dA = s · (dy B)ᵀ x and dB = dyᵀ (x (s · A)ᵀ). */
function factorGradients(dy: tf.Tensor2D, { x, a, b, scaling }: LoraTensors & { x: tf.Tensor2D }): tf.Tensor[] {
  const hidden = tf.matMul(x, a.mul(scaling) as tf.Tensor2D, false, true);
  return [tf.matMul(tf.matMul(dy, b), x, true, false).mul(scaling), tf.matMul(dy, hidden, true, false)];
}
