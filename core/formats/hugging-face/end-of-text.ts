import type { ModelConfig } from '../../models/config/model-config.ts';
import { readJsonInFolder, resolveInFolder } from '../folder-files.ts';
import { isObject } from '../json.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/**
 * Finds the tokens that end a text of a base model: every `eos_token_id` of generation_config.json and config.json, and
 * the `eos_token` of tokenizer_config.json. A chat model often names the end of a turn in one file and the end of a
 * document in another, and either ends an answer.
 * @returns ids in ascending order; none if the base names none
 * @throws FormatError for a file that is not valid JSON
 */
export async function readEndOfTextIds(
  folder: string,
  { eosTokenIds, vocabSize }: Pick<ModelConfig, 'eosTokenIds' | 'vocabSize'>,
  { eosTokenId }: Pick<Tokenizer, 'eosTokenId'>,
): Promise<readonly number[]> {
  const generation = await readObject(folder, 'generation_config.json');
  const given = [generation['eos_token_id']].flat().filter((id) => typeof id === 'number');
  const ids = [...eosTokenIds, ...given, ...(eosTokenId === null ? [] : [eosTokenId])];
  return [...new Set(ids)].filter((id) => Number.isInteger(id) && id >= 0 && id < vocabSize).sort((a, b) => a - b);
}

async function readObject(folder: string, name: string): Promise<Readonly<Record<string, unknown>>> {
  if ((await resolveInFolder(folder, name)) === null) return {};
  const content = await readJsonInFolder(folder, name);
  return isObject(content) ? content : {};
}
