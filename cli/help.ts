import type { HelpConfiguration, Option } from 'commander';

/** The layout of `--help`: an option's description, then its choices and its default in one pair of parentheses. */
export const HELP: HelpConfiguration = {
  optionDescription({ description, argChoices, defaultValue, defaultValueDescription }: Option): string {
    const standard: unknown = defaultValueDescription ?? defaultValue;
    const details = [
      ...(argChoices ? [`choices: ${argChoices.join(', ')}`] : []),
      ...(standard === undefined ? [] : [`default: ${String(standard)}`]),
    ];
    return details.length === 0 ? description : `${description} (${details.join('; ')})`;
  },
};
