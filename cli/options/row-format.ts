import { Option, type Command } from 'commander';
import type { TokenizeOptions } from '../../core/data/tokenize.ts';
import { integer } from './parsers.ts';

/** Values of the flags `--append-eos` and `--max-length`, which say how rows become tokens. */
export interface RowFormatOptions {
  readonly appendEos?: 'yes' | 'no';
  readonly maxLength?: number;
}

/**
 * Adds `--append-eos` and `--max-length`.
 * @param appendEos what happens without `--append-eos`, for the help text
 * @param maxLength what happens without `--max-length`, for the help text
 */
export function addRowFormatOptions(
  command: Command,
  { appendEos, maxLength = "the model's own maximum, but at most 2048" }: { appendEos: string; maxLength?: string },
): Command {
  const description = 'Whether the end of the text is a label behind each completion.';
  return command
    .addOption(new Option('--append-eos <answer>', description).choices(['yes', 'no']).default(undefined, appendEos))
    .option(
      '--max-length <n>',
      `Largest number of tokens of a row; longer ones lose the beginning of their prompts. (default: ${maxLength})`,
      integer(2),
    );
}

/** Returns the row format that the flags give. Settings without a flag are taken from `otherwise`. */
export function rowFormatOf(
  { appendEos, maxLength }: RowFormatOptions,
  otherwise: Pick<TokenizeOptions, 'appendEos' | 'maxLength'>,
): Pick<TokenizeOptions, 'appendEos' | 'maxLength'> {
  return {
    appendEos: appendEos === undefined ? otherwise.appendEos : appendEos === 'yes',
    maxLength: maxLength ?? otherwise.maxLength,
  };
}
