import { readModelConfig } from '../../../formats/hugging-face/model-weights.ts';
import { readTokenizerFiles } from '../../../formats/tokenizer/tokenizer-files.ts';
import { changedSettings, compareConfigs, type Difference } from './compatibility.ts';
import { breakingTokenizerChanges, compareTokenizers, type TokenizerChanges } from './tokenizer-changes.ts';

/** Differences between two base model versions, by their files other than the weights. */
export interface VersionComparison {
  /** Differences that make the versions incompatible; an empty list if they are compatible. */
  readonly differences: readonly Difference[];
  /** Changed settings of config.json with which adapters still run. */
  readonly settings: readonly Difference[];
  readonly tokenizer: TokenizerChanges;
}

/**
 * Compares configs and tokenizers of two base models. No weights are read.
 * @throws FormatError for a folder that does not hold a base model, and for a file that cannot be read
 */
export async function compareVersions(oldFolder: string, newFolder: string): Promise<VersionComparison> {
  const [from, to] = await Promise.all([readModelConfig(oldFolder), readModelConfig(newFolder)]);
  const [oldFiles, newFiles] = await Promise.all([readTokenizerFiles(oldFolder), readTokenizerFiles(newFolder)]);
  const tokenizer = compareTokenizers(oldFiles, newFiles);
  return {
    differences: [...compareConfigs(from, to), ...breakingTokenizerChanges(tokenizer)],
    settings: changedSettings(from, to),
    tokenizer,
  };
}
