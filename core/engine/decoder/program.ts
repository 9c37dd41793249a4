import * as tf from '@tensorflow/tfjs';
import { attentionTensors, type AttentionSource, type AttentionTensors } from './attention/attention-tensors.ts';
import { labelHiddenStates, type RowsOf } from './decoder.ts';
import type { DoraTensors } from './dora.ts';
import type { LoraTensors } from './linear.ts';
import { logitsOf, negativeLogLikelihood, type Head } from './losses.ts';
import {
  anglesName,
  gradientName,
  inputName,
  inputWidths,
  trainedNames,
  weightSquaresName,
  type ProgramSpec,
} from './program-spec.ts';
import type { Repeats } from './attention/bins.ts';

export type ProgramTensors = Readonly<Record<string, tf.Tensor>>;

/**
 * The program in tfjs ops, a function of the tensors that `programInputs` lists. Outputs: `losses` [labels], or
 * `logits` [labels, vocab], or `loss_sum` [] and the gradients of loss_sum · gradient_scale.
 */
export function decoderProgram(spec: ProgramSpec) {
  return (inputs: ProgramTensors): ProgramTensors => {
    const run: ProgramRun = {
      spec,
      inputs,
      scalings: scalingsOf(spec, inputs),
      dropout: spec.dropout ? dropoutOf(spec, inputs) : null,
      attention: attentionTensors(spec.config, attentionSource(spec, inputs)),
    };
    switch (spec.kind) {
      case 'labelLosses':
        return { losses: labelLosses(run) };
      case 'logits':
        return { logits: logitsOf(hiddenStates(run), head(run)) };
      case 'gradients':
        return lossAndGradients(run);
    }
  };
}

interface ProgramRun {
  readonly spec: ProgramSpec;
  readonly inputs: ProgramTensors;
  /** One a module. Gradients use them after the forward pass, so they are made outside of what is differentiated. */
  readonly scalings: readonly tf.Tensor[];
  readonly attention: AttentionTensors;
  /** The random numbers of each module, by name. */
  readonly dropout: DropoutSource | null;
}

interface DropoutSource {
  /** [tokens], and [labels] at the label positions. */
  readonly rows: { readonly tokens: tf.Tensor1D; readonly labels: tf.Tensor1D };
  readonly features: ReadonlyMap<string, tf.Tensor1D>;
  readonly rate: tf.Tensor;
}

function attentionSource({ config, repeats }: ProgramSpec, inputs: ProgramTensors): AttentionSource {
  return {
    positions: required(inputs, 'positions') as tf.Tensor1D,
    binSequences: required(inputs, 'bin_sequences') as tf.Tensor2D,
    indices: {
      binTokens: required(inputs, 'bin_tokens') as tf.Tensor2D,
      tokenPlaces: required(inputs, 'token_places') as tf.Tensor1D,
      ...(repeats && { repeats: repeatsOf(inputs) }),
    },
    angles: (type) => required(inputs, anglesName(config, type)) as tf.Tensor2D,
  };
}

function repeatsOf(inputs: ProgramTensors): Repeats {
  return {
    tokens: required(inputs, 'repeat_tokens') as tf.Tensor1D,
    places: required(inputs, 'repeat_places') as tf.Tensor1D,
    shares: required(inputs, 'token_shares') as tf.Tensor2D,
  };
}

function labelLosses(run: ProgramRun): tf.Tensor1D {
  return negativeLogLikelihood(hiddenStates(run), head(run), required(run.inputs, 'label_ids') as tf.Tensor1D);
}

function lossAndGradients(run: ProgramRun): ProgramTensors {
  const trained = [...run.spec.modules].flatMap(([module, { dora }]) =>
    trainedNames(dora).map((name) => ({ input: inputName(module, name), gradient: gradientName(module, name) })),
  );
  const lossOf = (...values: tf.Tensor[]) => {
    const replaced = Object.fromEntries(trained.map(({ input }, index) => [input, values[index]!]));
    return labelLosses({ ...run, inputs: { ...run.inputs, ...replaced } }).sum() as tf.Scalar;
  };
  const at = trained.map(({ input }) => required(run.inputs, input));
  const { value, grads } = tf.valueAndGrads(lossOf)(at, required(run.inputs, 'gradient_scale') as tf.Scalar);
  const outputs = trained.map(({ gradient }, index) => [gradient, grads[index]!]);
  return { loss_sum: value, ...Object.fromEntries(outputs) };
}

function scalingsOf({ modules }: ProgramSpec, inputs: ProgramTensors): tf.Tensor[] {
  return modules.size > 0 ? tf.split(required(inputs, 'scalings'), modules.size) : [];
}

function dropoutOf({ config, modules }: ProgramSpec, inputs: ProgramTensors): DropoutSource {
  const tokens = required(inputs, 'dropout_tokens') as tf.Tensor1D;
  const parts = tf.split(required(inputs, 'dropout_features'), inputWidths(config, modules)) as tf.Tensor1D[];
  return {
    rows: { tokens, labels: tf.gather(tokens, required(inputs, 'label_positions')) },
    features: new Map([...modules.keys()].map((module, index) => [module, parts[index]!])),
    rate: required(inputs, 'dropout_rate'),
  };
}

function loraTensors({ spec: { modules }, inputs, scalings }: ProgramRun): ReadonlyMap<string, LoraTensors> {
  return new Map(
    [...modules].map(([module, { dora }], index): [string, LoraTensors] => {
      const a = required(inputs, inputName(module, 'a')) as tf.Tensor2D;
      const b = required(inputs, inputName(module, 'b')) as tf.Tensor2D;
      const lora = { a, b, scaling: scalings[index]! };
      return [module, dora ? { ...lora, dora: doraTensors(inputs, module) } : lora];
    }),
  );
}

function doraTensors(inputs: ProgramTensors, module: string): DoraTensors {
  return {
    magnitude: required(inputs, inputName(module, 'magnitude')) as tf.Tensor1D,
    weightSquares: required(inputs, weightSquaresName(module)) as tf.Tensor1D,
  };
}

function hiddenStates(run: ProgramRun): tf.Tensor2D {
  const { spec, inputs, attention } = run;
  const lora = loraTensors(run);
  return labelHiddenStates(spec.config, {
    weight: (name) => required(inputs, name),
    lora: (module, at) => withDropout(lora.get(module), module, at, run),
    inputIds: required(inputs, 'input_ids') as tf.Tensor1D,
    labelPositions: required(inputs, 'label_positions') as tf.Tensor1D,
    attention,
  });
}

function withDropout(
  lora: LoraTensors | undefined,
  module: string,
  at: RowsOf,
  { dropout }: ProgramRun,
): LoraTensors | undefined {
  if (!lora || !dropout) return lora;
  const { rows, features, rate } = dropout;
  return { ...lora, dropout: { rows: rows[at], features: features.get(module)!, rate } };
}

/** The output head: the embedding itself where the model ties them. */
function head({ spec: { config }, inputs }: ProgramRun): Head {
  const name = config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight';
  return { weight: required(inputs, name) as tf.Tensor2D, cap: config.logitSoftcap ?? null };
}

function required(inputs: ProgramTensors, name: string): tf.Tensor {
  const tensor = inputs[name];
  if (!tensor) throw new Error(`the decoder program was run without its input ${name}`);
  return tensor;
}
