import type { Command } from 'commander';
import { addJsonOption, type JsonOption } from '../../options/common-options.ts';
import { UsageError } from '../../process/errors.ts';

interface LogoutOptions extends JsonOption {
  readonly profile?: string;
}

export function addLogoutCommand(program: Command): void {
  const command = program
    .command('logout')
    .description(
      'Forget a profile with its key. The key stays valid: revoke it in the service if somebody else has it.',
    )
    .option('--profile <name>', 'Profile to forget. (default: the current one)')
    .action(logout);
  addJsonOption(command).addHelpText('after', '\nExamples:\n  readapt logout\n  readapt logout --profile acme');
}

async function logout({ profile, json }: LogoutOptions): Promise<void> {
  const { profileFile, readProfiles, writeProfiles } = await import('../../remote/profiles/profile-file.ts');
  const file = profileFile();
  const book = await readProfiles(file);
  const name = profile ?? book.current;
  if (name === null || !book.profiles.has(name)) {
    throw new UsageError(name === null ? 'you are not signed in' : `--profile ${JSON.stringify(name)} does not exist`);
  }
  const profiles = new Map(book.profiles);
  profiles.delete(name);
  await writeProfiles(file, { current: book.current === name ? null : book.current, profiles });
  process.stdout.write(json ? `${JSON.stringify({ profile: name }, null, 2)}\n` : `profile ${name} is forgotten\n`);
}
