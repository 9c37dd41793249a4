/** Maximum length of a base model's name in characters, as long as a path on Linux. */
export const MAX_BASE_NAME = 4096;

/** A base model's name: no control, format or line-separating characters, and no space at either end. */
export const BASE_NAME_PATTERN = '^(?! )[^\\p{C}\\p{Zl}\\p{Zp}]+(?<! )$';

const BASE_NAME = new RegExp(BASE_NAME_PATTERN, 'u');

/** Description of a valid base model name, for error messages and documentation. */
export const BASE_NAME_EXPECTED =
  `1 to ${MAX_BASE_NAME} characters without control characters ` + 'and without a space at either end';

/** Whether a text can be written as `base_model_name_or_path` into an adapter's `adapter_config.json`. */
export function isBaseName(text: string): boolean {
  return text.length <= MAX_BASE_NAME && BASE_NAME.test(text);
}
