import { quote, shorten } from '../../options/quote.ts';
import { FormatError } from '../errors.ts';
import type { JsonObject } from '../json.ts';

/*
 * The tables below hold every field that a LoraConfig of PEFT 0.1 to 0.21 has written. A field is read by
 * peft-config.ts, has no effect on the adapter's outputs, is supported with some values only, or is supported only
 * while it is off.
 */

/** Fields of adapter_config.json that peft-config.ts reads. */
const READ = [
  'alpha_pattern', 'base_model_name_or_path', 'exclude_modules', 'layers_pattern', 'layers_to_transform', 'lora_alpha',
  'lora_dropout', 'r', 'rank_pattern', 'target_modules',
]; // oxfmt-ignore

/**
 * Fields of adapter_config.json that never change the outputs of an adapter on a Hugging Face decoder, each with the
 * reason.
 */
const WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  auto_mapping: 'names the classes of the base model if task_type is not given',
  corda_config: 'configures an initialization, which init_lora_weights names',
  ensure_weight_tying: 'concerns embeddings and the head, which cannot be target modules here',
  eva_config: 'configures an initialization',
  fan_in_fan_out: 'describes Conv1D layers; PEFT sets it to false for linear layers, and the decoders have no others',
  inference_mode: 'says whether PEFT freezes the factors on loading',
  loftq_config: 'configures an initialization',
  lora_ga_config: 'configures an initialization',
  megatron_config: 'describes layers of Megatron-LM, which no Hugging Face decoder has',
  megatron_core: 'names the module that megatron_config is used with',
  merge_weights: 'says whether PEFT 0.1 adds the update to the weights before computing',
  peft_version: 'names the PEFT that wrote the file',
  qalora_group_size: 'configures use_qalora',
  revision: 'names the revision of the base model',
  runtime_config: 'says where PEFT holds tensors',
};

interface Rule {
  /** Values of the field that Readapt supports. */
  readonly values: readonly unknown[];
  /** Reason why other values are refused, and what the user can do instead. */
  readonly advice?: string;
}

/**
 * Fields of adapter_config.json of which only certain values are supported. Null and an absent field are supported too,
 * except for `peft_type`.
 */
const ONLY: Readonly<Record<string, Rule>> = {
  bias: {
    values: ['none'],
    advice: 'trained biases of the base are not carried over; train the adapter with bias="none"',
  },
  init_lora_weights: {
    values: [true, false, 'gaussian', 'eva', 'orthogonal', 'mica'],
    advice:
      'other initializations move a part of the base weights into the adapter; save it with ' +
      "PEFT's path_initial_model_for_weight_conversion, which turns it into a plain LoRA adapter",
  },
  peft_type: {
    values: ['LORA'],
    advice: "other methods compute something else; PEFT's save_as_lora approximates some of them as LoRA",
  },
  task_type: {
    values: ['CAUSAL_LM'],
    advice: 'only causal language models are supported; if the adapter belongs to one, set the field to null',
  },
  use_dora: { values: [true, false] },
  use_rslora: { values: [true, false] },
};

/** Fields of adapter_config.json that must be off (null, false or empty), each with its effect when it is on. */
const ONLY_OFF: Readonly<Record<string, string>> = {
  alora_invocation_tokens: 'Activated LoRA adapts only the tokens after an invocation',
  arrow_config: 'Arrow routes between several adapters',
  enable_lora: 'LoRA adapts only parts of a fused layer',
  kasa_config: 'KaSA truncates the base weights and has a diagonal between the factors',
  layer_replication: 'the adapted model has more layers than the base',
  lora_bias: 'a bias beside lora_B',
  modules_to_save: 'whole modules are trained beside the adapter',
  monteclora_config: 'MonteCLoRA samples the factors',
  target_parameters: 'LoRA adapts parameters that are not linear layers',
  trainable_token_indices: 'rows of the embedding are trained beside the adapter',
  use_bdlora: 'BD-LoRA has block-diagonal factors',
  use_qalora: 'QA-LoRA pools the inputs of the factors',
  velora_config: 'VeLoRA has tensors beside the factors',
};

/** Names of fields that {@link refuseUnsupported} does not check, because they are read or have no effect. */
const FREE = new Set([...READ, ...Object.keys(WITHOUT_EFFECT)]);

/**
 * Refuses every adapter that is not plain LoRA, rsLoRA or DoRA. An unknown field, which a later PEFT or another tool
 * may have written, is accepted while it is off (null, false or empty) and refused otherwise, because it may change the
 * outputs.
 * @throws FormatError `unsupported_adapter` naming the field, its value, the supported values, the reason and a remedy
 */
export function refuseUnsupported(json: JsonObject): void {
  const type = json['peft_type'];
  if (type === undefined || type === null)
    throw unsupported('peft_type', type, '"LORA"', "only PEFT's own format is read");
  for (const [field, value] of Object.entries(json)) {
    if (FREE.has(field)) continue;
    const rule = Object.hasOwn(ONLY, field) ? ONLY[field] : undefined;
    if (rule) refuseOthers(field, value, rule);
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
  const writer = typeof version === 'string' ? `, written by PEFT ${shorten(version)}` : '';
  return `an unknown field${writer}, which may change what is computed; if it does not, remove it from the file`;
}

function unsupported(field: string, value: unknown, supported: string, advice?: string): FormatError {
  const found = value === undefined ? 'is missing' : `is ${quote(value)}`;
  const message = `${shorten(field)} ${found}, supported: ${supported}${advice === undefined ? '' : ` (${advice})`}`;
  return new FormatError({ code: 'unsupported_adapter', file: 'adapter_config.json', subject: field, message });
}
