import type { Command } from 'commander';
import type { Config } from '../../src/platform/config/config.ts';

export interface DatabaseOption {
  readonly dataDir?: string;
}

/** Adds `--data-dir`, and a help text that says which database the command uses. */
export function addDatabaseOption(command: Command): Command {
  return command
    .option('--data-dir <folder>', 'Folder of the embedded database, instead of READAPT_DATA_DIR.')
    .addHelpText(
      'after',
      '\nThe database is the one at DATABASE_URL or, without it, the embedded one in the data folder, running or not.',
    );
}

/** Loads the configuration, with `--data-dir` applied. @throws ConfigError */
export async function configOf({ dataDir }: DatabaseOption): Promise<Config> {
  const { loadConfig } = await import('../../src/platform/config/config.ts');
  return loadConfig({ ...process.env, ...(dataDir === undefined ? {} : { READAPT_DATA_DIR: dataDir }) });
}
