import { readModelConfig } from '../../../formats/hugging-face/model-weights.ts';
import { readTokenizerFiles } from '../../../formats/tokenizer/tokenizer-files.ts';
import { changedSettings, compareConfigs, type Difference } from './compatibility.ts';
import { breakingTokenizerChanges, compareTokenizers, type TokenizerChanges } from './tokenizer-changes.ts';

/** What the files beside the weights say of two base versions. */
export interface VersionComparison {
  /** What makes them incompatible; none means compatible. */
  readonly differences: readonly Difference[];
  /** Settings of config.json that changed and break nothing. */
  readonly settings: readonly Difference[];
  readonly tokenizer: TokenizerChanges;
}

/**
 * Compares configs and tokenizers of two base models; reads no weights.
 * @throws FormatError for a folder that does not hold a base model, or a file in it that cannot be read
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
