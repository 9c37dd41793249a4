import * as tf from '@tensorflow/tfjs';
import { attentionTensors, type AttentionSource, type LayerAttention } from './attention/attention-tensors.ts';
import type { Repeats } from './attention/bins.ts';
import type { SeenInCache } from './attention/cached.ts';
import { labelHiddenStates, type KeysAndValues, type RowsOf } from './decoder.ts';
import { doraFactors, type DoraTensors } from './dora.ts';
import type { LoraTensors } from './linear.ts';
import { logitsOf, negativeLogLikelihood, softCrossEntropy, type Head } from './losses.ts';
import {
  anglesName,
  cachedStateName,
  doraFactorsName,
  gradientName,
  inputName,
  inputWidths,
  newStateName,
  trainedNames,
  weightSquaresName,
  type ProgramSpec,
} from './program-spec.ts';

type ProgramTensors = Readonly<Record<string, tf.Tensor>>;

/**
 * Builds a program from tfjs ops, as a function of the tensors that `programInputs` lists. Depending on the kind of
 * program, its outputs are `losses` [labels], including padding labels; `logits` [labels, vocab]; or the scalar
 * `loss_sum` and the gradients of loss_sum · gradient_scale. `prefill` and `decode` programs return `logits` and, for
 * each layer, the keys and values of their tokens.
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
      case 'prefill':
      case 'decode':
        return logitsAndStates(run);
    }
  };
}

interface ProgramRun {
  readonly spec: ProgramSpec;
  readonly inputs: ProgramTensors;
  /**
   * LoRA's factor s of each adapted module. Gradients use these tensors after the forward pass, so they are made
   * outside the differentiated function.
   */
  readonly scalings: ProgramTensors;
  readonly attention: readonly LayerAttention[];
  readonly dropout: DropoutSource | null;
}

/** Random numbers that determine the dropout masks of a call. */
interface DropoutSource {
  /**
   * A random number for each row of a layer's input: for all tokens, [tokens], and for the label positions alone,
   * [labels].
   */
  readonly rows: Readonly<Record<RowsOf, tf.Tensor1D>>;
  /** A random number for each input feature of each adapted module, [inFeatures], by module name. */
  readonly features: ProgramTensors;
  readonly rate: tf.Tensor;
}

function attentionSource(spec: ProgramSpec, inputs: ProgramTensors): AttentionSource {
  return {
    blocks: spec.attentionBlocks,
    positions: required(inputs, 'positions'),
    places: spec.kind === 'decode' ? placesInCache(inputs) : placesInBins(spec, inputs),
    angles: (type) => required(inputs, anglesName(spec.config, type)),
  };
}

function placesInBins(
  { repeats, attentionBlocks: blocks }: ProgramSpec,
  inputs: ProgramTensors,
): AttentionSource['places'] {
  const places = (name: string) => binPlaces(required(inputs, name), blocks);
  return {
    binSequences: places('bin_sequences'),
    indices: {
      binTokens: places('bin_tokens'),
      tokenPlaces: required(inputs, 'token_places'),
      ...(repeats && { repeats: repeatsOf(inputs) }),
    },
  };
}

/** Reshapes a tensor of attention's places from [bins, blocks, binLength / blocks] to [bins, binLength]. */
function binPlaces(places: tf.Tensor, blocks: number): tf.Tensor2D {
  return blocks === 1 ? (places as tf.Tensor2D) : places.reshape([places.shape[0], blocks * places.shape[2]!]);
}

function placesInCache(inputs: ProgramTensors): AttentionSource['places'] {
  const cached = (layer: number): Pick<SeenInCache, 'keys' | 'values'> => ({
    keys: required(inputs, cachedStateName('keys', layer)),
    values: required(inputs, cachedStateName('values', layer)),
  });
  return { slots: required(inputs, 'slots'), cached };
}

function repeatsOf(inputs: ProgramTensors): Repeats {
  return {
    tokens: required(inputs, 'repeat_tokens'),
    places: required(inputs, 'repeat_places'),
    shares: required(inputs, 'token_shares'),
  };
}

function labelLosses(run: ProgramRun): tf.Tensor1D {
  const { kind, labelBlocks: blocks } = run.spec;
  const ids = required<tf.Tensor1D>(run.inputs, 'label_ids');
  return negativeLogLikelihood(hiddenStates(run), head(run), ids, { blocks, differentiated: kind === 'gradients' });
}

function logitsAndStates(run: ProgramRun): ProgramTensors {
  const states: Record<string, tf.Tensor> = {};
  const keep = (layer: number, { k, v }: KeysAndValues) => {
    states[newStateName('keys', layer)] = k;
    states[newStateName('values', layer)] = v;
  };
  const logits = logitsOf(hiddenStates(run, keep), head(run));
  return { logits, ...states, ...(run.spec.kind === 'prefill' ? doraOutputs(run) : {}) };
}

function lossAndGradients(run: ProgramRun): ProgramTensors {
  const trained = [...run.spec.modules].flatMap(([module, { dora }]) =>
    trainedNames(dora).map((name) => ({ input: inputName(module, name), gradient: gradientName(module, name) })),
  );
  const factors = trained.map(({ input }) => input);
  const lossOf = (...values: tf.Tensor[]) => {
    const inputs = { ...run.inputs, ...named(factors, values) };
    return trainedLosses({ ...run, inputs }).sum<tf.Scalar>();
  };
  const at = factors.map((name) => required(run.inputs, name));
  const { value, grads } = tf.valueAndGrads(lossOf)(at, required<tf.Scalar>(run.inputs, 'gradient_scale'));
  const names = trained.map(({ gradient }) => gradient);
  return { loss_sum: value, ...named(names, grads) };
}

/**
 * Computes the loss of each label for training, from soft targets if there are any. Padding labels have a loss of 0.
 */
function trainedLosses(run: ProgramRun): tf.Tensor1D {
  const { labelBlocks: blocks, targets } = run.spec;
  if (targets > 0) {
    const [ids, shares] = ['target_ids', 'target_shares'].map((name) => required<tf.Tensor2D>(run.inputs, name));
    return softCrossEntropy(
      hiddenStates(run),
      head(run),
      { ids: ids!, shares: shares! },
      { blocks, differentiated: true },
    );
  }
  const losses = labelLosses(run);
  return blocks === 1 ? losses : losses.mul(required(run.inputs, 'label_weights'));
}

function scalingsOf({ modules }: ProgramSpec, inputs: ProgramTensors): ProgramTensors {
  return modules.size > 0 ? named([...modules.keys()], tf.split(required(inputs, 'scalings'), modules.size)) : {};
}

function dropoutOf({ config, modules }: ProgramSpec, inputs: ProgramTensors): DropoutSource {
  const tokens = required<tf.Tensor1D>(inputs, 'dropout_tokens');
  const parts = tf.split(required(inputs, 'dropout_features'), inputWidths(config, modules));
  return {
    rows: { tokens, labels: tf.gather(tokens, required(inputs, 'label_positions')) },
    features: named([...modules.keys()], parts),
    rate: required(inputs, 'dropout_rate'),
  };
}

/** Makes a record of tensors from their names; both lists are in the same order. */
function named(names: readonly string[], tensors: readonly tf.Tensor[]): ProgramTensors {
  return Object.fromEntries(tensors.map((tensor, index) => [names[index], tensor]));
}

function loraTensors({ spec: { kind, modules }, inputs, scalings }: ProgramRun): ReadonlyMap<string, LoraTensors> {
  return new Map(
    [...modules].map(([module, { dora }]): [string, LoraTensors] => {
      const lora = factorTensors(inputs, scalings, module);
      if (!dora) return [module, lora];
      const known = kind === 'decode';
      return [
        module,
        { ...lora, dora: known ? required(inputs, doraFactorsName(module)) : doraTensors(inputs, module) },
      ];
    }),
  );
}

function factorTensors(inputs: ProgramTensors, scalings: ProgramTensors, module: string) {
  const a = required<tf.Tensor2D>(inputs, inputName(module, 'a'));
  const b = required<tf.Tensor2D>(inputs, inputName(module, 'b'));
  return { a, b, scaling: required(scalings, module) };
}

/**
 * Returns the DoRA factors of the outputs as outputs of `prefill`. `decode` reads them, so that it need not compute the
 * norms of weights again for every token.
 */
function doraOutputs({ spec: { modules }, inputs, scalings }: ProgramRun): ProgramTensors {
  const adapted = [...modules].filter(([, { dora }]) => dora);
  return Object.fromEntries(
    adapted.map(([module]) => {
      const weight = required<tf.Tensor2D>(inputs, `${module}.weight`);
      const factors = factorTensors(inputs, scalings, module);
      return [doraFactorsName(module), doraFactors(doraTensors(inputs, module), { ...factors, weight })];
    }),
  );
}

function doraTensors(inputs: ProgramTensors, module: string): DoraTensors {
  return {
    magnitude: required(inputs, inputName(module, 'magnitude')),
    weightSquares: required(inputs, weightSquaresName(module)),
  };
}

function hiddenStates(run: ProgramRun, keep?: (layer: number, states: KeysAndValues) => void): tf.Tensor2D {
  const { spec, inputs, attention } = run;
  const lora = loraTensors(run);
  return labelHiddenStates(spec.config, {
    weight: (name) => required(inputs, name),
    lora: (module, rows) => withDropout(lora.get(module), module, rows, run),
    inputIds: required(inputs, 'input_ids'),
    labelPositions: spec.kind === 'decode' ? null : required(inputs, 'label_positions'),
    attention,
    ...(keep && { keep }),
  });
}

function withDropout(
  lora: LoraTensors | undefined,
  module: string,
  rows: RowsOf,
  { dropout }: ProgramRun,
): LoraTensors | undefined {
  if (!lora || !dropout) return lora;
  const features = required<tf.Tensor1D>(dropout.features, module);
  return { ...lora, dropout: { rows: dropout.rows[rows], features, rate: dropout.rate } };
}

/** Output head, which is the embedding itself if the model ties them. */
function head({ spec: { config }, inputs }: ProgramRun): Head {
  const name = config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight';
  return { weight: required(inputs, name), cap: config.logitSoftcap ?? null };
}

function required<T extends tf.Tensor>(tensors: ProgramTensors, name: string): T {
  const tensor = tensors[name];
  if (!tensor) throw new Error(`the decoder program was run without its input ${name}`);
  return tensor as T;
}
