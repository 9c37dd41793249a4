import type { Command } from 'commander';
import { UsageError, quoted } from '../../process/errors.ts';
import { addJsonOption, type JsonOption } from '../../options/common-options.ts';

export function addProfilesCommands(program: Command): void {
  const profiles = program.command('profiles').description('List the profiles, and choose the current one.');
  const list = profiles
    .command('ls', { isDefault: true })
    .description('List the profiles, of which the one with an asterisk is the current one. Keys are not shown.')
    .action(show);
  addJsonOption(list).addHelpText('after', '\nExamples:\n  readapt profiles\n  readapt profiles ls --json');
  const use = profiles
    .command('use')
    .description('Make a profile the current one.')
    .argument('<profile>', 'Name of the profile.')
    .action(choose);
  addJsonOption(use).addHelpText('after', '\nExamples:\n  readapt profiles use acme');
}

async function show(options: JsonOption): Promise<void> {
  const { profileFile, readProfiles } = await import('../../remote/profiles/profile-file.ts');
  const { printTable } = await import('../../screen/print.ts');
  const { current, profiles } = await readProfiles(profileFile());
  const rows = [...profiles].map(([name, { url }]) => ({ name, url, current: name === current }));
  printTable(options, {
    document: { data: rows },
    rows,
    columns: [
      { heading: '', value: (row) => (row.current ? '*' : '') },
      { heading: 'PROFILE', value: ({ name }) => name },
      { heading: 'ADDRESS', value: ({ url }) => url, shrinks: true },
    ],
    empty: 'there are no profiles: `readapt login` makes one',
  });
}

async function choose(name: string, { json }: JsonOption): Promise<void> {
  const { profileFile, readProfiles, writeProfiles } = await import('../../remote/profiles/profile-file.ts');
  const file = profileFile();
  const { profiles } = await readProfiles(file);
  const chosen = profiles.get(name);
  if (chosen === undefined) {
    const names = [...profiles.keys()].join(', ') || 'none';
    throw new UsageError(`profile ${quoted(name)} does not exist; there are: ${names}`);
  }
  await writeProfiles(file, { current: name, profiles });
  process.stdout.write(
    json
      ? `${JSON.stringify({ profile: name, url: chosen.url }, null, 2)}\n`
      : `profile ${name} is the current one: ${chosen.url}\n`,
  );
}
