/*
 * Rules of vLLM for a LoRA folder: `vllm/lora/peft_helper.py` (PEFTHelper), `vllm/lora/utils.py`
 * (parse_fine_tuned_lora_name), `vllm/lora/lora_model.py` (from_local_checkpoint) and
 * `vllm/plugins/lora_resolvers/filesystem_resolver.py` (FilesystemResolver) of vLLM 0.33.0.
 */

type Json = Readonly<Record<string, unknown>>;

const PREFIX = 'base_model.model.';

/** PEFTHelper.from_dict and validate_legal. @throws Error as vLLM does */
export function checkConfig(config: Json): void {
  for (const field of ['r', 'lora_alpha', 'target_modules']) {
    if (!(field in config)) throw new Error(`Missing required configuration fields: ${field}`);
  }
  if (!((config['r'] as number) > 0)) throw new Error('LoRA rank `r` must be a positive integer');
  if (Array.isArray(config['modules_to_save']) && config['modules_to_save'].length > 0)
    throw new Error('modules_to_save');
  if (config['use_dora'] === true) throw new Error('vLLM does not yet support DoRA.');
  const init = config['init_lora_weights'] ?? true;
  const plain = ['gaussian', 'eva', 'orthogonal', 'mica', 'lora_ga'];
  if (typeof init === 'string' && !plain.includes(init.toLowerCase())) throw new Error('init_lora_weights');
  const refused = ['lora_bias', 'alora_invocation_tokens', 'layer_replication', 'use_bdlora', 'use_qalora'];
  const on = refused.find((field) => Boolean(config[field]));
  if (on !== undefined) throw new Error(`vLLM does not support ${on}`);
  if ((config['bias'] ?? 'none') !== 'none') throw new Error('Adapter bias is not supported.');
}

/** parse_fine_tuned_lora_name, without a weights mapper. @throws Error for a name that is no LoRA weight */
export function parseName(key: string): { module: string; isLoraA: boolean } {
  const name = key.startsWith(PREFIX) ? key.replaceAll(PREFIX, '') : key;
  const parts = name.split('.');
  const factor = parts.at(-2);
  if (parts.at(-1) === 'weight' && (factor === 'lora_A' || factor === 'lora_B')) {
    return { module: parts.slice(0, -2).join('.'), isLoraA: factor === 'lora_A' };
  }
  throw new Error(`${name} is unsupported LoRA weight`);
}

/** PEFTHelper.get_rank_and_scaling. */
export function rankAndScaling(config: Json, module: string): { rank: number; scaling: number } {
  const match = (field: string): number | undefined => {
    const pattern = Object.entries((config[field] ?? {}) as Record<string, number>);
    return pattern.find(([key]) => new RegExp(`^(.*\\.)?(${key})$`).test(module))?.[1];
  };
  const rank = match('rank_pattern') ?? (config['r'] as number);
  const alpha = match('alpha_pattern') ?? (config['lora_alpha'] as number);
  return { rank, scaling: alpha / (config['use_rslora'] === true ? Math.sqrt(rank) : rank) };
}

/** FilesystemResolver: whether it serves an adapter together with the model that `--model` names. */
export function isResolved(config: Json, model: string): boolean {
  return config['peft_type'] === 'LORA' && config['base_model_name_or_path'] === model;
}
