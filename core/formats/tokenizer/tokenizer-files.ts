import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { readJsonInFolder, resolveInFolder } from '../hugging-face/model-folder.ts';

/** What a model folder says of its tokens, parsed and not yet understood. */
export interface TokenizerFiles {
  /** tokenizer.json */
  readonly tokenizer: unknown;
  /** tokenizer_config.json; null where there is none. */
  readonly config: unknown;
  /** chat_template.jinja, else `chat_template` of tokenizer_config.json (several of them as JSON); null where there is none. */
  readonly chatTemplate: string | null;
}

/** @throws FormatError for a file that is not JSON; null where the folder has no tokenizer.json */
export async function readTokenizerFiles(folder: string): Promise<TokenizerFiles | null> {
  if ((await resolveInFolder(folder, 'tokenizer.json')) === null) return null;
  const hasConfig = (await resolveInFolder(folder, 'tokenizer_config.json')) !== null;
  const config = hasConfig ? await readJsonInFolder(folder, 'tokenizer_config.json') : null;
  const templateFile = await resolveInFolder(folder, 'chat_template.jinja');
  const inConfig = (config as { readonly chat_template?: unknown } | null)?.chat_template ?? null;
  return {
    tokenizer: await readJsonInFolder(folder, 'tokenizer.json'),
    config,
    chatTemplate: templateFile === null ? textOf(inConfig) : await readFile(templateFile, 'utf8'),
  };
}

function textOf(template: unknown): string | null {
  return template === null || typeof template === 'string' ? template : JSON.stringify(template);
}

/** SHA-256 (hex) of tokenizer.json's text: equal ones need no closer look. */
export function tokenizerHash(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
