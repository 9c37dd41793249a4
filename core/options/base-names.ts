/** Largest number of characters of a base model's name, which is the length limit of a path on Linux. */
export const MAX_BASE_NAME = 4096;

/**
 * Regular expression for a base model's name: no control, format or line-separating characters, and no space at either
 * end.
 */
export const BASE_NAME_PATTERN = '^(?! )[^\\p{C}\\p{Zl}\\p{Zp}]+(?<! )$';

const BASE_NAME = new RegExp(BASE_NAME_PATTERN, 'u');

/** Description of a valid base model name, for error messages and documentation. */
export const BASE_NAME_EXPECTED =
  `1 to ${MAX_BASE_NAME} characters without control characters ` + 'and without a space at either end';

/**
 * Whether a text may be the name of a base model, which an adapter's `adapter_config.json` has as
 * `base_model_name_or_path`.
 */
export function isBaseName(text: string): boolean {
  return text.length <= MAX_BASE_NAME && BASE_NAME.test(text);
}
