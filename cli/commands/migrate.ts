import { Option, type Command } from 'commander';
import { UsageError } from '../process/errors.ts';
import { addJsonOption, type JsonOption } from '../options/common-options.ts';

interface MigrateOptions extends JsonOption {
  readonly admit?: '0.2.0';
}

export function register(program: Command): void {
  const command = program
    .command('migrate')
    .description('Apply the pending migrations to the database at DATABASE_URL.')
    .addOption(
      new Option('--admit <version>', 'Let this version start on the migrated database, to go back to it.').choices([
        '0.2.0',
      ]),
    )
    .action(async ({ json, admit }: MigrateOptions) => {
      const { loadConfig } = await import('../../src/platform/config/config.ts');
      const { applyMigrations, hideMigrations, showMigrations } =
        await import('../../src/platform/database/migrations.ts');
      const { requireDatabase } = await import('../../src/platform/config/reachable.ts');
      const { databaseUrl } = loadConfig(process.env);
      if (databaseUrl === null) {
        throw new UsageError(
          'DATABASE_URL is not set; without it, `readapt serve` migrates its embedded database itself',
        );
      }
      await requireDatabase(databaseUrl);
      if (admit !== undefined) {
        const hidden = await hideMigrations(databaseUrl);
        process.stdout.write(json ? `${JSON.stringify({ hidden })}\n` : `version ${admit} can start on the database\n`);
        return;
      }
      await showMigrations(databaseUrl);
      const applied = await applyMigrations(databaseUrl);
      if (json) process.stdout.write(`${JSON.stringify({ applied })}\n`);
      else
        process.stdout.write(applied.length === 0 ? 'no migrations are pending\n' : `applied ${applied.join(', ')}\n`);
    });
  addJsonOption(command);
}
