import { FormatError } from '../errors.ts';

/**
 * Every field that a LoraConfig of PEFT 0.1 to 0.21 has written, and what becomes of it: read (`peft-config.ts`),
 * without effect on what is computed, supported in some values only, or supported only while it is off.
 */

/** What `peft-config.ts` reads. */
const READ = [
  'alpha_pattern', 'base_model_name_or_path', 'exclude_modules', 'layers_pattern', 'layers_to_transform', 'lora_alpha',
  'lora_dropout', 'r', 'rank_pattern', 'target_modules',
]; // prettier-ignore

/** Fields that change nothing of what an adapter on a Hugging Face decoder computes, whatever their value, and why. */
const WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  auto_mapping: 'classes of the base that was trained on, where task_type is not given',
  corda_config: 'settings of an initialization, which init_lora_weights names',
  ensure_weight_tying: 'concerns embeddings and the head, which are no targets here',
  eva_config: 'settings of an initialization',
  fan_in_fan_out: 'layout of Conv1D layers; PEFT sets it to false for linear layers, and the decoders have no other',
  inference_mode: 'whether PEFT freezes the factors on loading',
  loftq_config: 'settings of an initialization',
  lora_ga_config: 'settings of an initialization',
  megatron_config: 'layers of Megatron-LM, which no Hugging Face decoder has',
  megatron_core: 'module that megatron_config is used with',
  merge_weights: 'whether PEFT 0.1 adds the update to the weights before it computes',
  peft_version: 'which PEFT wrote the file',
  qalora_group_size: 'setting of use_qalora',
  revision: 'revision of the base that was trained on',
  runtime_config: 'where PEFT holds tensors',
};

interface Rule {
  readonly values: readonly unknown[];
  /** Why there are no others, and what to do. */
  readonly advice?: string;
}

/** Fields with some supported values; null and absent are supported, too (but for `peft_type`). */
const ONLY: Readonly<Record<string, Rule>> = {
  bias: {
    values: ['none'],
    advice: 'trained biases of the base are not carried over; train the adapter with bias="none"',
  },
  init_lora_weights: {
    values: [true, false, 'gaussian', 'eva', 'orthogonal', 'mica'],
    advice:
      'other initializations move a part of the base weights into the adapter; save it with ' +
      "PEFT's path_initial_model_for_weight_conversion, which makes a plain LoRA adapter of it",
  },
  peft_type: {
    values: ['LORA'],
    advice: "other methods compute otherwise; PEFT's save_as_lora approximates some of them",
  },
  task_type: {
    values: ['CAUSAL_LM'],
    advice: 'causal language models only; where the adapter is one of such a model, write null into the field',
  },
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

/** Fields that are not looked at here. */
const FREE = new Set([...READ, ...Object.keys(WITHOUT_EFFECT)]);

/** Whether a field of `adapter_config.json` is one of those above. */
export function isKnownField(field: string): boolean {
  return FREE.has(field) || Object.hasOwn(ONLY, field) || Object.hasOwn(ONLY_OFF, field);
}

/**
 * Refuses what would be computed otherwise than LoRA, rsLoRA or DoRA. A field that is not known (a later PEFT, another
 * tool) is accepted while it is off (null, false, empty); anything else may change what is computed, and is refused.
 * @throws FormatError `unsupported_adapter`, naming field, value, what is supported, why, and what to do
 */
export function refuseUnsupported(json: Readonly<Record<string, unknown>>): void {
  const type = json['peft_type'];
  if (type === undefined || type === null)
    throw unsupported('peft_type', type, '"LORA"', "only PEFT's own format is read");
  for (const [field, value] of Object.entries(json)) {
    if (FREE.has(field)) continue;
    if (Object.hasOwn(ONLY, field)) refuseOthers(field, value, ONLY[field]!);
    else if (!isOff(value))
      throw unsupported(field, value, value === true ? 'false' : 'null', adviceOn(field, json['peft_version']));
  }
  refuseTargets(json['target_modules']);
}

function refuseOthers(field: string, value: unknown, { values, advice }: Rule): void {
  if (value === null || values.includes(value)) return;
  throw unsupported(field, value, values.map((item) => JSON.stringify(item)).join(', '), advice);
}

function refuseTargets(targets: unknown): void {
  if (!Array.isArray(targets)) return;
  const refused: unknown = targets.find((name) => /(^|\.)(lm_head|embed_tokens)$/.test(String(name)));
  if (refused === undefined) return;
  const supported = 'the linear layers of decoder blocks';
  throw unsupported(
    'target_modules',
    refused,
    supported,
    'embeddings and head stay as they are; train the adapter without them',
  );
}

function isOff(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return value === null || value === false || value === '';
}

function adviceOn(field: string, version: unknown): string {
  if (Object.hasOwn(ONLY_OFF, field)) return `${ONLY_OFF[field]}; train the adapter without it`;
  const writer = typeof version === 'string' ? `, written by PEFT ${version}` : '';
  return `a field that is not known here${writer}, and may change what is computed; remove it from the file where it does not`;
}

function unsupported(field: string, value: unknown, supported: string, advice?: string): FormatError {
  const found = value === undefined ? 'is missing' : `is ${JSON.stringify(value)}`;
  const message = `${field} ${found}, supported: ${supported}${advice === undefined ? '' : ` (${advice})`}`;
  return new FormatError({ code: 'unsupported_adapter', file: 'adapter_config.json', subject: field, message });
}
