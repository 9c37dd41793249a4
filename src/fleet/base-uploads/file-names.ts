import { isTaken, PICKLE } from '../../platform/base-sources/index.ts';
import { unprocessable } from '../../platform/contract/errors.ts';

export const isArchive = (name: string): boolean => name.endsWith('.tar');

export const BASE_PICKLE_ADVICE =
  'is a pickle, which can run code and is never taken: convert it to safetensors ' +
  '(`save_pretrained(folder, safe_serialization=True)` of transformers does)';

/**
 * Checks the names of the files that a client wants to upload.
 *
 * @throws AppError 422 `source_refused` that names the first refused or repeated file
 */
export function checkSentFiles(files: readonly { readonly name: string }[]): void {
  const seen = new Set<string>();
  for (const { name } of files) {
    if (seen.has(name)) throw unprocessable('source_refused', `${name} is named twice`, { file: name });
    seen.add(name);
    if (PICKLE.test(name)) throw unprocessable('source_refused', `${name} ${BASE_PICKLE_ADVICE}`, { file: name });
    if (!isArchive(name) && !isTaken(name)) {
      const expected = '*.safetensors, *.json, *.jinja, files of a tokenizer, or tar archives of these';
      throw unprocessable('source_refused', `${name} is not a file of a base model, expected ${expected}`, {
        file: name,
      });
    }
  }
}
