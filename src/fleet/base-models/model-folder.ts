import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Prisma } from '../../platform/database/database.ts';
import { unprocessable } from '../../platform/contract/errors.ts';

const MAX_CONFIG_BYTES = 1 << 20;
/** Sizes that every decoder's config.json has. */
const SIZES = ['hidden_size', 'num_hidden_layers', 'num_attention_heads', 'vocab_size'] as const;

/**
 * Checks quickly that a folder is a Hugging Face model: it has a model's config.json and weights. All files are read
 * later, when the version is analyzed.
 *
 * @returns the content of config.json
 * @throws AppError 422 `invalid_base_model` with `file` and `expected`
 */
export async function readModelFolder(folder: string): Promise<Prisma.InputJsonObject> {
  const config = checkConfig(await readConfig(path.join(folder, 'config.json')));
  const names = await readdir(folder);
  if (!names.some((name) => name.endsWith('.safetensors'))) {
    throw invalid('model.safetensors', 'the folder has no *.safetensors file', 'weights in one file or in shards');
  }
  return config;
}

/** @throws AppError 422 `invalid_base_model` if the config.json is not that of a decoder */
export function checkConfig(config: Record<string, unknown>): Prisma.InputJsonObject {
  if (typeof config.model_type !== 'string' || config.model_type === '') {
    throw invalid(
      'config.json',
      `model_type is ${JSON.stringify(config.model_type) ?? 'missing'}`,
      'the name of an architecture',
    );
  }
  for (const name of SIZES) {
    const value = config[name];
    if (!Number.isSafeInteger(value) || (value as number) < 1) {
      throw invalid('config.json', `${name} is ${JSON.stringify(value) ?? 'missing'}`, 'an integer of at least 1');
    }
  }
  return config as Prisma.InputJsonObject;
}

async function readConfig(file: string): Promise<Record<string, unknown>> {
  const found = await stat(file).catch(() => null);
  if (found === null || !found.isFile())
    throw invalid('config.json', 'it does not exist', 'a Hugging Face config.json');
  if (found.size > MAX_CONFIG_BYTES) {
    throw invalid('config.json', `it has ${found.size} bytes`, `at most ${MAX_CONFIG_BYTES} bytes`);
  }
  return parseConfig(await readFile(file, 'utf8'));
}

/**
 * Parses a config.json.
 *
 * @throws AppError 422 `invalid_base_model` if it is not a JSON object, or has text that PostgreSQL cannot store
 */
export function parseConfig(text: string): Record<string, unknown> {
  const unusable: string[] = [];
  const value = parseJson(text, (key, found) => {
    if (!isUsable(key) || (typeof found === 'string' && !isUsable(found))) unusable.push(key);
    return found;
  });
  if (unusable[0] !== undefined) {
    const found =
      `${JSON.stringify(unusable[0].slice(0, 200))} has a NUL or half of ` + 'a character in its name or its text';
    throw invalid('config.json', found, 'text in Unicode without NUL');
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalid('config.json', 'it is not a JSON object', 'a Hugging Face config.json');
}

/** Parsed value; null also for invalid JSON. */
function parseJson(text: string, revive: (key: string, value: unknown) => unknown): unknown {
  try {
    return JSON.parse(text, revive);
  } catch {
    return null;
  }
}

/** Whether PostgreSQL can store the text in JSONB. */
const isUsable = (text: string): boolean => !/\0|\p{Surrogate}/u.test(text);

function invalid(file: string, found: string, expected: string) {
  return unprocessable('invalid_base_model', `${file}: ${found}, expected ${expected}`, { file, expected });
}
