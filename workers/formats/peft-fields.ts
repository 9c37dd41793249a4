import { FormatError } from './errors.ts';

/**
 * Every field that a LoraConfig of PEFT 0.1 to 0.21 has written, and what becomes of it: read (`peft-config.ts`),
 * without effect on what is computed, supported in some values only, or supported only while it is off.
 */

/** What `peft-config.ts` reads. */
const READ = [
  'alpha_pattern', 'base_model_name_or_path', 'exclude_modules', 'layers_pattern', 'layers_to_transform', 'lora_alpha',
  'lora_dropout', 'peft_type', 'r', 'rank_pattern', 'target_modules',
]; // prettier-ignore

/** Fields that change nothing of what an adapter on a Hugging Face decoder computes, whatever their value, and why. */
const WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  auto_mapping: 'classes of the base that was trained on, where task_type is not given',
  corda_config: 'settings of an initialisation, which init_lora_weights names',
  ensure_weight_tying: 'concerns embeddings and the head, which are no targets here',
  eva_config: 'settings of an initialisation',
  fan_in_fan_out: 'layout of Conv1D layers; PEFT sets it to false for linear layers, and the decoders have no other',
  inference_mode: 'whether PEFT freezes the factors on loading',
  loftq_config: 'settings of an initialisation',
  lora_ga_config: 'settings of an initialisation',
  megatron_config: 'layers of Megatron-LM, which no Hugging Face decoder has',
  megatron_core: 'module that megatron_config is used with',
  merge_weights: 'whether PEFT 0.1 adds the update to the weights before it computes',
  peft_version: 'which PEFT wrote the file',
  qalora_group_size: 'setting of use_qalora',
  revision: 'revision of the base that was trained on',
  runtime_config: 'where PEFT holds tensors',
};

/** What other initialisations do: they move a part of the base's weights into the adapter. */
const CHANGES_BASE =
  'other initialisations change the base weights beside the adapter: save it with ' +
  "PEFT's path_initial_model_for_weight_conversion, which makes a plain LoRA adapter of it";

interface Rule {
  readonly values: readonly unknown[];
  readonly why?: string;
}

/** Fields with some supported values; null and absent are supported, too. */
const ONLY: Readonly<Record<string, Rule>> = {
  bias: { values: ['none'], why: 'trained biases of the base are not carried over' },
  init_lora_weights: { values: [true, false, 'gaussian', 'eva', 'orthogonal', 'mica'], why: CHANGES_BASE },
  task_type: { values: ['CAUSAL_LM'] },
  use_dora: { values: [true, false] },
  use_rslora: { values: [true, false] },
};

/** Fields that are supported while they are off (null, false, empty), and what they would change. */
const ONLY_OFF: Readonly<Record<string, string>> = {
  alora_invocation_tokens: 'Activated LoRA adapts only the tokens after an invocation',
  arrow_config: 'Arrow routes between several adapters',
  enable_lora: 'LoRA on parts of one fused layer',
  kasa_config: 'KaSA truncates the base weights and has a diagonal between the factors',
  layer_replication: 'the adapted model has more layers than the base',
  lora_bias: 'a bias beside lora_B',
  modules_to_save: 'whole modules trained beside the adapter',
  monteclora_config: 'MonteCLoRA samples the factors',
  target_parameters: 'LoRA on parameters that are no linear layers',
  trainable_token_indices: 'rows of the embedding trained beside the adapter',
  use_bdlora: 'BD-LoRA has block-diagonal factors',
  use_qalora: 'QA-LoRA pools the inputs of the factors',
  velora_config: 'VeLoRA has tensors beside the factors',
};

const FREE = new Set([...READ, ...Object.keys(WITHOUT_EFFECT)]);

/** Whether a field of `adapter_config.json` is one of those above. */
export function isKnownField(field: string): boolean {
  return FREE.has(field) || Object.hasOwn(ONLY, field) || Object.hasOwn(ONLY_OFF, field);
}

/**
 * Refuses what would be computed otherwise than LoRA, rsLoRA or DoRA. A field that is not known (a later PEFT, another
 * tool) is accepted while it is off (null, false, empty) or a number: PEFT's numbers are settings of switches that are
 * seen on their own. Text, true, or a list or object with content may change what is computed, and is refused.
 * @throws FormatError `unsupported_adapter`, naming field, value, and what is supported
 */
export function refuseUnsupported(json: Readonly<Record<string, unknown>>): void {
  const type = json['peft_type'];
  if (type !== 'LORA') throw unsupported('peft_type', type, '"LORA"');
  for (const [field, value] of Object.entries(json)) {
    if (FREE.has(field)) continue;
    const rule = Object.hasOwn(ONLY, field) ? ONLY[field] : undefined;
    if (rule) refuseOthers(field, value, rule);
    else if (!isOff(value)) throw unsupported(field, value, off(value), ONLY_OFF[field] ?? unknown(json['peft_version']));
  }
  refuseTargets(json['target_modules']);
}

function refuseOthers(field: string, value: unknown, { values, why }: Rule): void {
  if (value === null || values.includes(value)) return;
  throw unsupported(field, value, values.map((item) => JSON.stringify(item)).join(', '), why);
}

function refuseTargets(targets: unknown): void {
  if (!Array.isArray(targets)) return;
  const refused: unknown = targets.find((name) => /(^|\.)(lm_head|embed_tokens)$/.test(String(name)));
  if (refused !== undefined) throw unsupported('target_modules', refused, 'the linear layers of decoder blocks');
}

function isOff(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return value === null || value === false || value === '' || typeof value === 'number';
}

function off(value: unknown): string {
  return value === true ? 'false' : 'null';
}

function unknown(version: unknown): string {
  const writer = typeof version === 'string' ? `, written by PEFT ${version}` : '';
  return `a field that is not known here${writer}, and may change what is computed`;
}

function unsupported(field: string, value: unknown, supported: string, why?: string): FormatError {
  const found = value === undefined ? 'is missing' : `is ${JSON.stringify(value)}`;
  const message = `${field} ${found}, supported: ${supported}${why === undefined ? '' : ` (${why})`}`;
  return new FormatError({ code: 'unsupported_adapter', file: 'adapter_config.json', subject: field, message });
}
