import type { Command } from 'commander';
import { addOptionsLater } from './later-options.ts';

const WIDTH = 80;
const INDENT = 6;

/**
 * Adds a section on environment variables to the help of a command. For `worker`, it leaves out the variables that only
 * the API reads. The section is loaded when the command is chosen.
 */
export function addEnvironmentHelp(program: Command, command: Command, reader: 'all' | 'worker'): void {
  addOptionsLater(program, command, async () => {
    const { SETTING_GROUPS } = await import('../../src/platform/config/settings.ts');
    const { defaultText } = await import('../../src/platform/config/settings/setting.ts');
    const help = program.createHelp();
    const width = (command.configureOutput().getOutHelpWidth?.() ?? WIDTH) - INDENT;
    const sections = Object.entries(SETTING_GROUPS).map(([heading, settings]) => {
      const read = settings.filter(({ readBy }) => reader === 'all' || readBy !== 'api');
      if (read.length === 0) return '';
      const entries = read.map((setting) => {
        const standard = defaultText(setting)?.replaceAll('`', '') ?? 'none';
        const text = help.boxWrap(`${setting.help} (default: ${standard})`, width);
        return `    ${setting.variable}\n${text.replaceAll(/^/gm, ' '.repeat(INDENT))}`;
      });
      return `\n  ${heading}:\n${entries.join('\n')}\n`;
    });
    command.addHelpText('after', `\nEnvironment:\n${sections.join('')}`);
  });
}
