import { FormatError } from './errors.ts';

type Json = Readonly<Record<string, unknown>>;

/** Fields with one supported setting: absent, null, or one of these values. */
const ONLY: Readonly<Record<string, readonly unknown[]>> = {
  bias: ['none'],
  task_type: ['CAUSAL_LM'],
  // Other initialisations (pissa, olora, loftq, corda …) change the base weights beside the adapter.
  init_lora_weights: [true, false, 'gaussian', 'eva', 'orthogonal'],
  use_rslora: [true, false],
  use_dora: [true, false],
};

/** Fields that say nothing of how the adapter is computed, whatever their value. */
const INFORMATIVE = new Set([
  'alpha_pattern', 'auto_mapping', 'base_model_name_or_path', 'eva_config', 'exclude_modules', 'inference_mode',
  'layers_pattern', 'layers_to_transform', 'lora_alpha', 'lora_dropout', 'loftq_config', 'megatron_config',
  'megatron_core', 'peft_type', 'peft_version', 'qalora_group_size', 'r', 'rank_pattern', 'revision', 'runtime_config',
  'target_modules',
]); // prettier-ignore

/**
 * Refuses what would be computed otherwise than LoRA, rsLoRA or DoRA. A field that this version does not know is
 * accepted while it is off (null, false, empty) or a mere number or string; one that is switched on (true, a non-empty
 * list or object) may change the computation, and is refused by name. The known switches (modules_to_save, lora_bias,
 * fan_in_fan_out, layer_replication, target_parameters …) all fall under this rule.
 * @throws FormatError `unsupported_adapter`
 */
export function refuseUnsupported(json: Json): void {
  const type = json['peft_type'];
  if (type !== 'LORA') throw unsupported('peft_type', type, '"LORA"');
  for (const [field, value] of Object.entries(json)) {
    if (INFORMATIVE.has(field)) continue;
    const allowed = Object.hasOwn(ONLY, field) ? ONLY[field] : undefined;
    if (allowed ? value !== null && !allowed.includes(value) : isSwitchedOn(value)) {
      throw unsupported(field, value, allowed ? allowed.map((item) => JSON.stringify(item)).join(', ') : off(value));
    }
  }
  refuseTargets(json['target_modules']);
}

function refuseTargets(targets: unknown): void {
  if (!Array.isArray(targets)) return;
  const refused: unknown = targets.find((name) => /(^|\.)(lm_head|embed_tokens)$/.test(String(name)));
  if (refused !== undefined) throw unsupported('target_modules', refused, 'the linear layers of decoder blocks');
}

function isSwitchedOn(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return value === true;
}

function off(value: unknown): string {
  return value === true ? 'false' : 'null';
}

function unsupported(field: string, value: unknown, supported: string): FormatError {
  const found = value === undefined ? 'is missing' : `is ${JSON.stringify(value)}`;
  const message = `${field} ${found}, supported: ${supported}`;
  return new FormatError({ code: 'unsupported_adapter', file: 'adapter_config.json', subject: field, message });
}
