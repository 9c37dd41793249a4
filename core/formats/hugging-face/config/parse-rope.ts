import type { RopeDeclaration, RopeType } from '../../../models/architecture/architecture-declaration.ts';
import type { Fields } from './config-fields.ts';
import type { RopeSettings, RotaryScaling } from '../../../models/config/model-config.ts';
import { LAYER_TYPES, rotaryPairs } from '../../../models/config/rope.ts';

/** Parts of the config, besides the rotary settings, that rotary angles depend on. */
interface RopeContext {
  readonly declaration: RopeDeclaration;
  readonly headDim: number;
  readonly maxPositionEmbeddings: number;
}

interface ParsedRope extends RopeSettings {
  readonly slidingRope: RopeSettings | null;
  readonly partialRotaryFactor: number | null;
}

/**
 * Reads the rotary settings: `rope_parameters` (newer; nested by layer type in architectures whose sliding-window
 * layers have settings of their own) or `rope_theta` with `rope_scaling` (older).
 * @throws FormatError naming field and value
 */
export function parseRope(fields: Fields, context: RopeContext): ParsedRope {
  const parameters = fields.section('rope_parameters');
  const { slidingThetaField } = context.declaration;
  refuseOtherNesting(fields, parameters, slidingThetaField !== undefined);
  if (slidingThetaField !== undefined) return parseByLayerType(fields, parameters, context, slidingThetaField);
  const section = parameters ?? fields.section('rope_scaling');
  const partialRotaryFactor = parsePartialFactor(fields, section, context);
  const theta = parameters?.has('rope_theta') ? parameters : fields;
  const pairs = rotaryPairs(context.headDim, partialRotaryFactor);
  const scaling = section ? parseScaling(section, { ...context, pairs, originalLength: originalLength(fields) }) : null;
  return {
    ropeTheta: theta.positive('rope_theta', 10_000),
    ropeScaling: scaling,
    slidingRope: null,
    partialRotaryFactor,
  };
}

function refuseOtherNesting(fields: Fields, parameters: Fields | null, byLayerType: boolean): void {
  if (parameters === null || LAYER_TYPES.some((type) => parameters.has(type)) === byLayerType) return;
  const [found, supported] = byLayerType
    ? ['once', LAYER_TYPES.join(' and ')]
    : ['by layer type', 'once, for all layers'];
  throw fields.error('unsupported_config', 'rope_parameters', `is given ${found}, supported: ${supported}`);
}

function parseByLayerType(
  fields: Fields,
  parameters: Fields | null,
  context: RopeContext,
  slidingThetaField: string,
): ParsedRope {
  parsePartialFactor(fields, parameters, context);
  const scalingContext = { ...context, pairs: rotaryPairs(context.headDim, null), originalLength: null };
  const read = (section: Fields | null, thetaField: string): RopeSettings => {
    const [theta, name] = section?.has('rope_theta') ? [section, 'rope_theta'] : [fields, thetaField];
    return { ropeTheta: theta.positive(name), ropeScaling: section ? parseScaling(section, scalingContext) : null };
  };
  const full = read(parameters?.section('full_attention') ?? fields.section('rope_scaling'), 'rope_theta');
  const sliding = read(parameters?.section('sliding_attention') ?? null, slidingThetaField);
  return { ...full, slidingRope: sliding, partialRotaryFactor: null };
}

function parsePartialFactor(
  fields: Fields,
  section: Fields | null,
  { declaration, headDim }: RopeContext,
): number | null {
  const holder = section?.has('partial_rotary_factor') ? section : fields;
  const factor = holder.positive('partial_rotary_factor', 1);
  if (factor === 1) return null;
  const features = Math.floor(headDim * factor);
  if (declaration.partial && factor < 1 && features > 0 && features % 2 === 0) return factor;
  const supported = declaration.partial ? `a share of head_dim (${headDim}) that is even` : '1';
  throw holder.error('unsupported_config', 'partial_rotary_factor', `is ${factor}, supported: ${supported}`);
}

/**
 * Returns the sequence length of the original training that the top level of the config states; null if it states none.
 * This length takes precedence over one in the rotary settings, as in transformers.
 */
function originalLength(fields: Fields): number | null {
  const name = 'original_max_position_embeddings';
  return fields.has(name) ? fields.count(name) : null;
}

interface ScalingContext extends RopeContext {
  /** Number of feature pairs in a head that are rotated. LongRoPE's lists of factors must have this length. */
  readonly pairs: number;
  /** Sequence length of the original training, if the config states it outside the rotary settings; else null. */
  readonly originalLength: number | null;
}

function parseScaling(section: Fields, context: ScalingContext): RotaryScaling | null {
  const type = parseType(section, context.declaration);
  switch (type) {
    case 'default':
      return null;
    case 'linear':
    case 'dynamic':
      return { type, factor: section.positive('factor') };
    case 'llama3':
      return {
        type,
        factor: section.positive('factor'),
        lowFreqFactor: section.positive('low_freq_factor'),
        highFreqFactor: section.positive('high_freq_factor'),
        originalMaxPositionEmbeddings: trainedLength(section, context),
      };
    case 'yarn':
      return {
        type,
        factor: section.positive('factor'),
        originalMaxPositionEmbeddings: trainedLength(section, context),
        betaFast: section.positive('beta_fast', 32),
        betaSlow: section.positive('beta_slow', 1),
        truncate: section.flag('truncate', true),
        attentionFactor: section.optionalPositive('attention_factor'),
        mscale: section.optionalPositive('mscale'),
        mscaleAllDim: section.optionalPositive('mscale_all_dim'),
      };
    case 'longrope':
      return {
        type,
        factor: section.positive('factor', context.maxPositionEmbeddings / trainedLength(section, context)),
        originalMaxPositionEmbeddings: trainedLength(section, context),
        shortFactor: section.numbers('short_factor', context.pairs),
        longFactor: section.numbers('long_factor', context.pairs),
        attentionFactor: section.optionalPositive('attention_factor'),
      };
  }
}

function parseType(section: Fields, { types, aliases }: RopeDeclaration): RopeType {
  const key = section.has('rope_type') ? 'rope_type' : 'type';
  const named = section.text(key, 'default');
  const found = aliases?.[named] ?? named;
  const type = types.find((each) => each === found);
  if (type) return type;
  throw section.error('unsupported_config', key, `is "${named}", supported: ${types.join(', ')}`);
}

/** Returns the longest sequence, in tokens, that the model was trained on before its context was extended. */
function trainedLength(section: Fields, { originalLength, maxPositionEmbeddings }: ScalingContext): number {
  return originalLength ?? section.count('original_max_position_embeddings', maxPositionEmbeddings);
}
