import { FormatError } from '../formats/errors.ts';
import { ARCHITECTURES, type Architecture } from './architecture-table.ts';
import { SUPPORTED_MODEL_TYPES, type ModelConfig, type RopeScaling, type SupportedModelType } from './model-config.ts';
import { PROJECTIONS, type Projection } from './projections.ts';

type Json = Readonly<Record<string, unknown>>;

/**
 * Reads the object of a Hugging Face `config.json` (both spellings of the rotary settings).
 * @param json the parsed file
 * @param file how errors name the file
 * @throws FormatError `unsupported_model_type`, `unsupported_config` or `invalid_config`, naming field and value
 */
export function parseModelConfig(json: unknown, file: string): ModelConfig {
  if (!isObject(json)) throw new FormatError({ code: 'invalid_config', file, message: 'is not a JSON object' });
  const modelType = parseModelType(new Fields(json, file));
  const architecture = ARCHITECTURES[modelType];
  const fields = new Fields({ ...architecture.defaults, ...json }, file);
  refuseUnsupported(fields);
  const numHeads = fields.count('num_attention_heads');
  const hiddenSize = fields.count('hidden_size');
  const numLayers = fields.count('num_hidden_layers');
  const config: ModelConfig = {
    modelType,
    hiddenSize,
    intermediateSize: fields.count('intermediate_size'),
    numLayers,
    numHeads,
    numKeyValueHeads: fields.count('num_key_value_heads', numHeads),
    headDim: fields.count('head_dim', hiddenSize / numHeads),
    vocabSize: fields.count('vocab_size'),
    maxPositionEmbeddings: fields.count('max_position_embeddings', 2048),
    rmsNormEps: fields.positive('rms_norm_eps', 1e-6),
    ...parseRope(fields),
    biases: parseBiases(architecture, fields),
    slidingWindows: parseWindows(architecture, fields, numLayers),
    tieWordEmbeddings: fields.flag('tie_word_embeddings', false),
    bosTokenId: fields.tokenIds('bos_token_id')[0] ?? null,
    eosTokenIds: fields.tokenIds('eos_token_id'),
  };
  checkHeads(config, fields);
  return config;
}

function parseModelType(fields: Fields): SupportedModelType {
  const found = fields.text('model_type');
  const modelType = SUPPORTED_MODEL_TYPES.find((supported) => supported === found);
  if (modelType) return modelType;
  const message = `is "${found}", supported: ${SUPPORTED_MODEL_TYPES.join(', ')}`;
  throw fields.error('unsupported_model_type', 'model_type', message);
}

function refuseUnsupported(fields: Fields): void {
  const activation = fields.raw('hidden_act') ?? 'silu';
  if (activation !== 'silu') {
    throw fields.error('unsupported_config', 'hidden_act', `is ${JSON.stringify(activation)}, supported: "silu"`);
  }
}

function parseBiases({ biases }: Architecture, fields: Fields): Projection[] | null {
  const present = biases.filter(({ field }) => field === undefined || fields.flag(field, false));
  const projections = PROJECTIONS.filter((name) => present.some((bias) => bias.projections.includes(name)));
  return projections.length > 0 ? projections : null;
}

function parseWindows({ slidingWindow }: Architecture, fields: Fields, numLayers: number): (number | null)[] | null {
  if (slidingWindow === 'none' || !fields.has('sliding_window')) return null;
  if (slidingWindow === 'switched' && !fields.flag('use_sliding_window', false)) return null;
  const window = fields.count('sliding_window');
  if (slidingWindow === 'every-layer') return Array.from({ length: numLayers }, () => window);
  const windows = windowedLayers(fields, numLayers).map((windowed) => (windowed ? window : null));
  return windows.some((each) => each !== null) ? windows : null;
}

/** Whether each layer has a window, by `layer_types` (newer configs) or `max_window_layers`. */
function windowedLayers(fields: Fields, numLayers: number): boolean[] {
  const types = fields.raw('layer_types') ?? null;
  if (types === null) {
    const first = fields.raw('max_window_layers') === 0 ? 0 : fields.count('max_window_layers');
    return Array.from({ length: numLayers }, (_, layer) => layer >= first);
  }
  const known = ['full_attention', 'sliding_attention'];
  if (Array.isArray(types) && types.length === numLayers && types.every((type) => known.includes(type as string))) {
    return types.map((type) => type === 'sliding_attention');
  }
  const message = `is ${JSON.stringify(types)}, expected ${numLayers} times one of ${known.join(', ')}`;
  throw fields.error('unsupported_config', 'layer_types', message);
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

/** `rope_parameters` (newer) or `rope_theta` with `rope_scaling` (older). */
function parseRope(fields: Fields): { ropeTheta: number; ropeScaling: RopeScaling | null } {
  const parameters = fields.section('rope_parameters');
  const scaling = parameters ?? fields.section('rope_scaling');
  const theta = parameters?.has('rope_theta') ? parameters : fields;
  return { ropeTheta: theta.positive('rope_theta', 10000), ropeScaling: scaling ? parseScaling(scaling) : null };
}

function parseScaling(section: Fields): RopeScaling | null {
  const key = section.has('rope_type') ? 'rope_type' : 'type';
  const type = section.text(key, 'default');
  switch (type) {
    case 'default':
      return null;
    case 'linear':
      return { type, factor: section.positive('factor') };
    case 'llama3':
      return {
        type,
        factor: section.positive('factor'),
        lowFreqFactor: section.positive('low_freq_factor'),
        highFreqFactor: section.positive('high_freq_factor'),
        originalMaxPositionEmbeddings: section.count('original_max_position_embeddings'),
      };
    default:
      throw section.error('unsupported_config', key, `is "${type}", supported: default, linear, llama3`);
  }
}

/** Typed access to a JSON object's fields; every complaint names file, field, value and expectation. */
class Fields {
  readonly #json: Json;
  readonly #file: string;
  readonly #prefix: string;

  constructor(json: Json, file: string, prefix = '') {
    this.#json = json;
    this.#file = file;
    this.#prefix = prefix;
  }

  raw(name: string): unknown {
    return this.#json[name];
  }

  has(name: string): boolean {
    return this.#json[name] !== undefined && this.#json[name] !== null;
  }

  text(name: string, fallback?: string): string {
    return this.#read(name, 'a string', (value) => typeof value === 'string', fallback);
  }

  flag(name: string, fallback: boolean): boolean {
    return this.#read(name, 'true or false', (value) => typeof value === 'boolean', fallback);
  }

  count(name: string, fallback?: number): number {
    return this.#read(name, 'a positive integer', (value) => Number.isSafeInteger(value) && Number(value) > 0, fallback);
  }

  positive(name: string, fallback?: number): number {
    return this.#read(name, 'a positive number', (value) => Number.isFinite(value) && Number(value) > 0, fallback);
  }

  /** A token id, a list of them, or none (absent or null). */
  tokenIds(name: string): number[] {
    if (!this.has(name)) return [];
    const value = this.raw(name);
    const ids: unknown[] = Array.isArray(value) ? value : [value];
    if (!ids.every((id) => Number.isSafeInteger(id) && Number(id) >= 0)) throw this.#mistyped(name, 'token ids');
    return ids as number[];
  }

  section(name: string): Fields | null {
    if (!this.has(name)) return null;
    const value = this.raw(name);
    if (!isObject(value)) throw this.#mistyped(name, 'an object');
    return new Fields(value, this.#file, `${this.#prefix}${name}.`);
  }

  error(code: string, name: string, message: string): FormatError {
    const subject = this.#prefix + name;
    return new FormatError({ code, file: this.#file, subject, message: `${subject} ${message}` });
  }

  #read<T>(name: string, expected: string, accepts: (value: unknown) => boolean, fallback?: T): T {
    const value = this.has(name) ? this.raw(name) : fallback;
    if (!accepts(value)) throw this.#mistyped(name, expected, value);
    return value as T;
  }

  #mistyped(name: string, expected: string, value: unknown = this.raw(name)): FormatError {
    const found = value === undefined ? 'is missing' : `is ${JSON.stringify(value)}`;
    return this.error('invalid_config', name, `${found}, expected ${expected}`);
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
