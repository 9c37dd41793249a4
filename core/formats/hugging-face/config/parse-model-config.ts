import { FormatError } from '../../errors.ts';
import { isObject } from '../../json.ts';
import type { Architecture, Architectures } from '../../../models/architecture/architecture-declaration.ts';
import { ARCHITECTURES } from '../../../models/architecture/architecture-table.ts';
import { Fields } from './config-fields.ts';
import type { ModelConfig } from '../../../models/config/model-config.ts';
import { parseRope } from './parse-rope.ts';
import type { Projection } from '../../../models/lora/projections.ts';
import { LAYER_TYPES, type LayerType } from '../../../models/config/rope.ts';

export interface ParseOptions {
  /** Architectures that can be loaded, by `model_type`. Default: those that Readapt ships. */
  readonly architectures?: Architectures;
}

/**
 * Parses the JSON of a Hugging Face `config.json`. Rotary settings may have the older spelling (`rope_theta`,
 * `rope_scaling`) or the newer one (`rope_parameters`).
 * @param json the parsed file
 * @param file name of the file in error messages
 * @throws FormatError `unsupported_model_type`, `unsupported_config` or `invalid_config`, naming field and value
 */
export function parseModelConfig(json: unknown, file: string, options: ParseOptions = {}): ModelConfig {
  if (!isObject(json)) throw new FormatError({ code: 'invalid_config', file, message: 'is not a JSON object' });
  const { modelType, architecture } = findArchitecture(new Fields(json, file), options.architectures ?? ARCHITECTURES);
  const fields = new Fields({ ...architecture.defaults, ...json }, file);
  refuseUnsupported(architecture, fields);
  const numHeads = fields.count('num_attention_heads');
  const hiddenSize = fields.count('hidden_size');
  const numLayers = fields.count('num_hidden_layers');
  const headDim = fields.count('head_dim', hiddenSize / numHeads);
  const maxPositionEmbeddings = fields.count('max_position_embeddings', 2048);
  const config: ModelConfig = {
    modelType,
    ...(isShipped(modelType, architecture) ? {} : { architecture }),
    hiddenSize,
    intermediateSize: fields.count('intermediate_size'),
    numLayers,
    numHeads,
    numKeyValueHeads: fields.count('num_key_value_heads', numHeads),
    headDim,
    vocabSize: fields.count('vocab_size'),
    maxPositionEmbeddings,
    rmsNormEps: fields.positive('rms_norm_eps', 1e-6),
    ...parseRope(fields, { declaration: architecture.rope, headDim, maxPositionEmbeddings }),
    queryPreAttnScalar: architecture.queryScalar ? fields.positive('query_pre_attn_scalar') : null,
    attentionSoftcap: parseSoftcap(fields, architecture.softcaps.attention),
    logitSoftcap: parseSoftcap(fields, architecture.softcaps.logits),
    biases: parseBiases(architecture, fields),
    slidingWindows: parseWindows(architecture, fields, numLayers),
    tieWordEmbeddings: fields.flag('tie_word_embeddings', false),
    bosTokenId: fields.tokenIds('bos_token_id')[0] ?? null,
    eosTokenIds: fields.tokenIds('eos_token_id'),
  };
  checkHeads(config, fields);
  return config;
}

function findArchitecture(fields: Fields, architectures: Architectures) {
  const modelType = fields.text('model_type');
  const architecture = Object.hasOwn(architectures, modelType) ? architectures[modelType] : undefined;
  if (architecture) return { modelType, architecture };
  const known = Object.keys(architectures).join(', ');
  const what = modelType === 'gemma3' ? ', which reads images too, and only text models can be loaded' : '';
  throw fields.error('unsupported_model_type', 'model_type', `is "${modelType}"${what}, supported: ${known}`);
}

function isShipped(modelType: string, architecture: Architecture): boolean {
  return Object.entries<Architecture>(ARCHITECTURES).some(
    ([name, each]) => name === modelType && each === architecture,
  );
}

function refuseUnsupported({ only }: Architecture, fields: Fields): void {
  if (fields.has('quantization_config')) {
    const message = 'is given, supported: weights that are not quantized; save the model as F32, F16 or BF16';
    throw fields.error('unsupported_config', 'quantization_config', message);
  }
  for (const [field, allowed] of Object.entries(only)) {
    const value = fields.raw(field) ?? null;
    if (value === null || allowed.includes(value)) continue;
    const supported = allowed.length > 0 ? allowed.map((each) => JSON.stringify(each)).join(', ') : 'null';
    throw fields.error('unsupported_config', field, `is ${JSON.stringify(value)}, supported: ${supported}`);
  }
}

function parseSoftcap(fields: Fields, field: string | null): number | null {
  return field === null ? null : fields.optionalPositive(field);
}

function parseBiases({ biases, projections: all }: Architecture, fields: Fields): Projection[] | null {
  const present = biases.filter(({ field }) => field === undefined || fields.flag(field, false));
  const projections = all.filter((name) => present.some((bias) => bias.projections.includes(name)));
  return projections.length > 0 ? projections : null;
}

function parseWindows({ slidingWindow }: Architecture, fields: Fields, numLayers: number): (number | null)[] | null {
  if (slidingWindow === 'none') return null;
  if (slidingWindow === 'switched' && !fields.flag('use_sliding_window', false)) return null;
  if (typeof slidingWindow === 'string' && !fields.has('sliding_window')) return null;
  const window = fields.count('sliding_window');
  if (slidingWindow === 'every-layer') return Array.from({ length: numLayers }, () => window);
  const windows = windowedLayers(slidingWindow, fields, numLayers).map((windowed) => (windowed ? window : null));
  return windows.some((each) => each !== null) ? windows : null;
}

/**
 * Determines for each layer whether it has a sliding window: from the field `layer_types` or, if the field is absent,
 * by the architecture's rule.
 */
function windowedLayers(rule: 'switched' | FullEvery, fields: Fields, numLayers: number): boolean[] {
  const types = fields.raw('layer_types') ?? null;
  if (types === null) {
    const windowed = rule === 'switched' ? fromLayer(fields) : allButEvery(rule, fields);
    return Array.from({ length: numLayers }, (_, layer) => windowed(layer));
  }
  const isKnown = (type: unknown) => LAYER_TYPES.includes(type as LayerType);
  if (Array.isArray(types) && types.length === numLayers && types.every(isKnown)) {
    return types.map((type) => type === 'sliding_attention');
  }
  const message = `is ${JSON.stringify(types)}, expected ${numLayers} times one of ${LAYER_TYPES.join(', ')}`;
  throw fields.error('unsupported_config', 'layer_types', message);
}

/** Rule of an architecture in which every n-th layer attends to all keys and the others have a sliding window. */
type FullEvery = Extract<Architecture['slidingWindow'], object>;

function fromLayer(fields: Fields): (layer: number) => boolean {
  const first = fields.raw('max_window_layers') === 0 ? 0 : fields.count('max_window_layers');
  return (layer) => layer >= first;
}

function allButEvery({ fullEvery, field }: FullEvery, fields: Fields): (layer: number) => boolean {
  const period = field === undefined ? fullEvery : fields.count(field, fullEvery);
  return (layer) => (layer + 1) % period !== 0;
}

function checkHeads(config: ModelConfig, fields: Fields): void {
  if (config.numHeads % config.numKeyValueHeads !== 0) {
    const found = `is ${config.numKeyValueHeads}, expected a divisor of num_attention_heads (${config.numHeads})`;
    throw fields.error('invalid_config', 'num_key_value_heads', found);
  }
  if (config.headDim % 2 !== 0) {
    throw fields.error('invalid_config', 'head_dim', `is ${config.headDim}, expected an even number`);
  }
}
