import {
  firstSuffixMatches,
  fullMatches,
  isTargeted,
  MatchingTime,
  PatternError,
} from '../../models/lora/module-pattern.ts';
import { quote } from '../../options/quote.ts';
import { FormatError } from '../errors.ts';
import { readJsonInFolder, type JsonFileLimits } from '../folder-files.ts';
import { isObject, type JsonObject } from '../json.ts';
import { refuseUnsupported } from './peft-fields.ts';

export const ADAPTER_CONFIG = 'adapter_config.json';

/**
 * Limits of an adapter's JSON files. Patterns and lists in these files name modules; the largest supported model (Llama
 * 3.1 405B) has 882 modules.
 */
export const ADAPTER_JSON: JsonFileLimits = { bytes: 1 << 20, depth: 16, keys: 4096, keyLength: 2000 };

/** Largest number of entries in a list of names or layers. */
const MAX_ITEMS = ADAPTER_JSON.keys!;

/** Content of `adapter_config.json`, for an adapter that Readapt supports. */
export interface PeftConfig {
  readonly rank: number;
  readonly alpha: number;
  readonly useRslora: boolean;
  readonly useDora: boolean;
  /** Dropout rate, in training, of the inputs of the factor A. */
  readonly dropout: number;
  readonly rankPattern: Readonly<Record<string, number>>;
  readonly alphaPattern: Readonly<Record<string, number>>;
  /** Suffixes of module names, or a regular expression for whole names; `all-linear` stands for every linear layer. */
  readonly targetModules: readonly string[] | string;
  readonly excludeModules: readonly string[] | string;
  /**
   * Numbers of the layers to adapt; null means all layers. A module that `targetModules` names in full is adapted in
   * any layer.
   */
  readonly layersToTransform: readonly number[] | null;
  /**
   * Regular expressions for the part of a module's name before the layer's number; an empty list accepts every name.
   */
  readonly layersPattern: readonly string[];
  readonly baseModelName: string | null;
}

/**
 * Reads and checks `adapter_config.json`. Fields of other PEFT versions are accepted if they do not change the
 * adapter's outputs.
 * @throws FormatError `unsupported_adapter` or `invalid_adapter_config`, naming field, value and what is supported
 */
export async function readAdapterConfig(folder: string): Promise<PeftConfig> {
  const json = await readJsonInFolder(folder, ADAPTER_CONFIG, ADAPTER_JSON);
  if (!isObject(json)) throw invalid('', 'is not a JSON object');
  refuseUnsupported(json);
  const config: PeftConfig = {
    rank: positive(json, 'r', isRank, 'a positive integer'),
    alpha: positive(json, 'lora_alpha', isPositive, 'a positive number'),
    useRslora: json['use_rslora'] === true,
    useDora: json['use_dora'] === true,
    dropout: dropout(json['lora_dropout']),
    rankPattern: pattern(json, 'rank_pattern', isRank, 'positive integers'),
    alphaPattern: pattern(json, 'alpha_pattern', isPositive, 'positive numbers'),
    targetModules: modules(json, 'target_modules'),
    excludeModules: json['exclude_modules'] ? modules(json, 'exclude_modules') : [],
    layersToTransform: layers(json['layers_to_transform']),
    layersPattern: strings(json['layers_pattern'], 'layers_pattern'),
    baseModelName: typeof json['base_model_name_or_path'] === 'string' ? json['base_model_name_or_path'] : null,
  };
  if (typeof config.targetModules === 'string' && config.layersToTransform) {
    throw invalid('layers_to_transform', 'is given, expected null where target_modules is a regular expression');
  }
  return config;
}

/** Fields of an adapter's config that decide which modules it adapts. */
type ModuleSelection = Pick<PeftConfig, 'targetModules' | 'excludeModules' | 'layersToTransform' | 'layersPattern'>;

/**
 * Selects the modules that an adapter changes, as PEFT does (`check_target_module_exists`).
 * @param names full module names such as `model.layers.0.self_attn.q_proj`
 * @param time time budget of all regular expressions together
 * @returns the selected names, in the order of `names`
 * @throws FormatError `invalid_adapter_config` for an unusable regular expression
 */
export function selectModules(
  selection: ModuleSelection,
  names: readonly string[],
  time: MatchingTime = new MatchingTime(),
): string[] {
  const excluded = matchModules(selection.excludeModules, 'exclude_modules', names, time);
  const targeted = matchModules(selection.targetModules, 'target_modules', names, time);
  const inLayers = matchLayers(selection, names, time);
  return names.filter((_, i) => targeted[i] && !excluded[i] && inLayers[i]);
}

/** Runs `use`, and converts a PatternError into a FormatError that names the config's `field`. */
export function withPatterns<T>(field: string, use: () => T): T {
  try {
    return use();
  } catch (error) {
    if (error instanceof PatternError) throw invalid(field, `holds an unusable value: ${error.message}`, error);
    throw error;
  }
}

function matchModules(
  targets: readonly string[] | string,
  field: string,
  names: readonly string[],
  time: MatchingTime,
): boolean[] {
  if (typeof targets !== 'string') {
    const all = new Set(targets);
    return names.map((name) => isTargeted(name, all));
  }
  if (field === 'target_modules' && targets.toLowerCase() === 'all-linear') return names.map(() => true);
  return withPatterns(field, () => fullMatches(targets, names, time));
}

/** Matches the layer's number, which is the first number in a module's name. */
const LAYER = /^(.*?)\.(\d+)\./;

function matchLayers(
  { targetModules, layersToTransform, layersPattern }: ModuleSelection,
  names: readonly string[],
  time: MatchingTime,
): boolean[] {
  if (layersToTransform === null) return names.map(() => true);
  const containers = names.map((name) => LAYER.exec(name)?.[1] ?? '');
  const matches = withPatterns('layers_pattern', () => firstSuffixMatches(layersPattern, containers, time));
  return names.map((name, i) => {
    if (typeof targetModules !== 'string' && targetModules.includes(name)) return true;
    const layer = LAYER.exec(name)?.[2];
    const inPattern = layersPattern.length === 0 || matches[i]! >= 0;
    return layer !== undefined && inPattern && layersToTransform.includes(Number(layer));
  });
}

function positive(json: JsonObject, field: string, accepts: (value: unknown) => boolean, expected: string): number {
  const value = json[field];
  if (accepts(value)) return value as number;
  throw invalid(field, `${value === undefined ? 'is missing' : `is ${quote(value)}`}, expected ${expected}`);
}

/** Reads the dropout rate. Null and an absent field count as 0, because PEFT 0.3 has no default. */
function dropout(value: unknown): number {
  const share = value ?? 0;
  if (typeof share === 'number' && share >= 0 && share < 1) return share;
  throw invalid('lora_dropout', `is ${quote(value)}, expected a number of at least 0 and below 1`);
}

function pattern(
  json: JsonObject,
  field: string,
  accepts: (value: unknown) => boolean,
  expected: string,
): Record<string, number> {
  const value = json[field] ?? {};
  if (isObject(value) && Object.values(value).every(accepts)) return value as Record<string, number>;
  throw invalid(field, `is ${quote(value)}, expected an object of module names to ${expected}`);
}

function modules(json: JsonObject, field: string): string[] | string {
  const value = json[field];
  if (typeof value === 'string' && value !== '') return value;
  if (isList(field, value) && value.length > 0 && value.every((name) => typeof name === 'string')) return value;
  const found = value === undefined ? 'is missing' : `is ${quote(value)}`;
  throw invalid(field, `${found}, expected a list of module names, a regular expression or "all-linear"`);
}

/** Reads the numbers of the layers. An empty list means all layers, as in PEFT. */
function layers(value: unknown): number[] | null {
  if (value === undefined || value === null) return null;
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0) return null;
  const areLayers = list.every((layer) => Number.isInteger(layer) && (layer as number) >= 0);
  if (isList('layers_to_transform', list) && areLayers) return list as number[];
  throw invalid('layers_to_transform', `is ${quote(value)}, expected layer numbers`);
}

function strings(value: unknown, field: string): string[] {
  if (value === undefined || value === null || value === '') return [];
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (isList(field, list) && list.every((item) => typeof item === 'string')) return list;
  throw invalid(field, `is ${quote(value)}, expected strings`);
}

/**
 * Whether a value is a list.
 * @throws FormatError if the list is too long
 */
function isList(field: string, value: unknown): value is unknown[] {
  if (!Array.isArray(value)) return false;
  if (value.length <= MAX_ITEMS) return true;
  throw invalid(field, `holds ${value.length} values, expected at most ${MAX_ITEMS}`);
}

function isRank(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

function isPositive(value: unknown): boolean {
  return Number.isFinite(value) && (value as number) > 0;
}

function invalid(field: string, message: string, cause?: unknown): FormatError {
  const code = 'invalid_adapter_config';
  return new FormatError({ code, file: ADAPTER_CONFIG, subject: field, message: `${field} ${message}`.trim(), cause });
}
