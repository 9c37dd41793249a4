import type { TrainableName } from '../../models/lora/trainable-arrays.ts';
import { shorten } from '../../options/quote.ts';
import { FormatError } from '../errors.ts';

export const ADAPTER_WEIGHTS = 'adapter_model.safetensors';

const SUFFIXES: Readonly<Record<TrainableName, string>> = {
  a: 'lora_A.weight',
  b: 'lora_B.weight',
  magnitude: 'lora_magnitude_vector',
};

/** Returns the key of a module's tensor in PEFT's files, which Readapt writes to files and names in messages. */
export function factorKey(module: string, name: TrainableName): string {
  return `base_model.model.${module}.${SUFFIXES[name]}`;
}

/** Keys of a file's tensors by module, in the order of the file. */
export type FactorKeys = ReadonlyMap<string, Partial<Record<TrainableName, string>>>;

interface ParsedKey {
  readonly module: string;
  readonly name: TrainableName;
  /** Name of the adapter within its PEFT model, if the key contains it. */
  readonly adapter: string | undefined;
}

/**
 * Matches every known spelling of a key. PEFT strips the adapter's name (`lora_A.default.weight`) when it saves, but
 * other tools write the model's state unchanged. Some tools leave out `base_model.model.`. Since PEFT 0.11, the
 * magnitude is the `weight` of a module.
 */
const KEY = new RegExp(
  String.raw`^(?:base_model\.model\.)?(.+?)\.` +
    String.raw`(?:lora_([AB])(?:\.([^.]+))?\.weight|` +
    String.raw`lora_magnitude_vector(?:\.(?!weight$)([^.]+))?(?:\.weight)?)$`,
);

function parseKey(key: string): ParsedKey | null {
  const [, module, factor, factorAdapter, magnitudeAdapter] = KEY.exec(key) ?? [];
  if (module === undefined) return null;
  const name = factor === 'A' ? 'a' : factor === 'B' ? 'b' : 'magnitude';
  return { module, name, adapter: factorAdapter ?? magnitudeAdapter };
}

/**
 * Groups a file's keys by module and tensor, whatever their spelling.
 * @throws FormatError `unexpected_tensor` for a key that does not belong to a LoRA adapter, for a duplicate tensor, and
 * for a file with more than one adapter
 */
export function sortKeys(keys: readonly string[]): FactorKeys {
  const sorted = new Map<string, Partial<Record<TrainableName, string>>>();
  const adapters = new Set<string>();
  for (const key of keys) {
    const parsed = parseKey(key);
    if (parsed === null) throw unexpectedKey(key, kindOf(key));
    const { module, name, adapter } = parsed;
    if (adapter !== undefined) adapters.add(adapter);
    if (adapters.size > 1)
      throw unexpectedKey(key, `the file holds several adapters (${shorten([...adapters].join(', '))}), expected one`);
    const entry = sorted.get(module) ?? {};
    if (entry[name] !== undefined)
      throw unexpectedKey(key, `the same tensor is already there as ${shorten(entry[name])}`);
    entry[name] = key;
    sorted.set(module, entry);
  }
  return sorted;
}

/** Whether every key is spelled as PEFT writes it, which is the spelling that serving engines look for. */
export function arePeftKeys(keys: FactorKeys): boolean {
  return [...keys].every(([module, entry]) => {
    return Object.entries(entry).every(([name, key]) => key === factorKey(module, name as TrainableName));
  });
}

export function unexpectedKey(key: string, reason: string): FormatError {
  const message = `unexpected key ${shorten(key)}: ${reason}`;
  return new FormatError({ code: 'unexpected_tensor', file: ADAPTER_WEIGHTS, subject: key, message });
}

const EMBEDDINGS =
  "the base's own embeddings or head, saved beside the adapter, are not carried over: " +
  'if the vocabulary is unchanged, save the adapter again with save_embedding_layers=False';

function kindOf(key: string): string {
  if (key.includes('lora_magnitude_vector')) return 'expected base_model.model.<module>.lora_magnitude_vector';
  if (key.includes('lora_embedding')) return 'adapted embeddings are not supported';
  if (/\.(embed_tokens|lm_head)\.(base_layer\.)?weight$/.test(key)) return EMBEDDINGS;
  if (key.includes('.lora_')) return 'expected base_model.model.<module>.lora_A.weight or lora_B.weight';
  return 'it is not a LoRA factor (expected base_model.model.<module>.lora_A.weight or lora_B.weight)';
}
