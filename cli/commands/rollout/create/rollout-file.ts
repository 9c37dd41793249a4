import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { RolloutOptions } from '../../../remote/client.ts';
import { UsageError, quoted } from '../../../process/errors.ts';

/** Content of a rollout file, whose fields have the API's names. */
export interface RolloutFile {
  readonly base_model?: string;
  readonly base_model_version_id?: string;
  readonly version?: string;
  readonly path?: string;
  readonly serving_name?: string;
  readonly retires_at?: string;
  readonly options?: RolloutOptions;
}

const TEXTS = ['base_model', 'base_model_version_id', 'version', 'path', 'serving_name', 'retires_at'] as const;

/**
 * Reads a rollout file in YAML or JSON. Leaves the options for the service to check.
 * @throws UsageError that names the file
 */
export async function readRolloutFile(file: string): Promise<RolloutFile> {
  const document = parsed(await readFile(file, 'utf8'), file);
  if (!isRecord(document)) throw new UsageError(`${file} holds no mapping: expected ${TEXTS.join(', ')} and options`);
  for (const [name, value] of Object.entries(document)) {
    if (name === 'options' ? isRecord(value) : TEXTS.some((text) => text === name) && typeof value === 'string')
      continue;
    throw new UsageError(`${file}: ${problemOf(name, value)}`);
  }
  return document;
}

function problemOf(name: string, value: unknown): string {
  const shown = quoted(name);
  if (name === 'options') return 'options is no mapping';
  if (!TEXTS.some((text) => text === name)) return `${shown} is not known, expected ${TEXTS.join(', ')} or options`;
  const hint = typeof value === 'number' ? `; write it in quotes: "${value}"` : '';
  return `${name} is not a text${hint}`;
}

function parsed(text: string, file: string): unknown {
  try {
    // Follow no YAML aliases, so that a short file cannot become a long document.
    return parse(text, { maxAliasCount: 0 });
  } catch (error) {
    const [line = ''] = (error as Error).message.split('\n');
    throw new UsageError(`${file} is neither YAML nor JSON: ${line}`);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
