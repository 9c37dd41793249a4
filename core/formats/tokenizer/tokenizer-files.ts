import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { readJsonInFolder, resolveInFolder } from '../folder-files.ts';
import { isObject } from '../json.ts';

/** Parsed tokenizer files of a model folder, with unchecked content. */
export interface TokenizerFiles {
  /** Content of tokenizer.json. */
  readonly tokenizer: unknown;
  /** Content of tokenizer_config.json; null if there is no such file. */
  readonly config: unknown;
  /**
   * Text of chat_template.jinja, or otherwise `chat_template` of tokenizer_config.json (as JSON if it holds several
   * templates); null if there is neither.
   */
  readonly chatTemplate: string | null;
}

/**
 * Reads the tokenizer files of a model folder. Returns null for a folder without tokenizer.json.
 * @throws FormatError for a file that is not valid JSON
 */
export async function readTokenizerFiles(folder: string): Promise<TokenizerFiles | null> {
  if ((await resolveInFolder(folder, 'tokenizer.json')) === null) return null;
  const hasConfig = (await resolveInFolder(folder, 'tokenizer_config.json')) !== null;
  const config = hasConfig ? await readJsonInFolder(folder, 'tokenizer_config.json') : null;
  const templateFile = await resolveInFolder(folder, 'chat_template.jinja');
  const inConfig = isObject(config) ? (config['chat_template'] ?? null) : null;
  return {
    tokenizer: await readJsonInFolder(folder, 'tokenizer.json'),
    config,
    chatTemplate: templateFile === null ? textOf(inConfig) : await readFile(templateFile, 'utf8'),
  };
}

function textOf(template: unknown): string | null {
  return template === null || typeof template === 'string' ? template : JSON.stringify(template);
}

/** SHA-256 (hex) of the text of tokenizer.json. Tokenizers with equal hashes need no further comparison. */
export function tokenizerHash(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
