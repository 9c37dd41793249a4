import type { Command } from 'commander';
import { UsageError } from '../process/errors.ts';
import { addJsonOption, type JsonOption } from '../options/common-options.ts';

export function addMigrateCommand(program: Command): void {
  const command = program
    .command('migrate')
    .description('Apply the pending migrations to the database at DATABASE_URL.')
    .action(async ({ json }: JsonOption) => {
      const { loadConfig } = await import('../../src/platform/config/config.ts');
      const { applyMigrations } = await import('../../src/platform/database/migrations.ts');
      const { requireDatabase } = await import('../../src/platform/config/reachable.ts');
      const { databaseUrl } = loadConfig(process.env);
      if (databaseUrl === null) {
        throw new UsageError(
          'DATABASE_URL is not set; without it, `readapt serve` migrates its embedded database itself',
        );
      }
      await requireDatabase(databaseUrl);
      const applied = await applyMigrations(databaseUrl);
      if (json) process.stdout.write(`${JSON.stringify({ applied })}\n`);
      else
        process.stdout.write(applied.length === 0 ? 'no migrations are pending\n' : `applied ${applied.join(', ')}\n`);
    });
  addJsonOption(command);
}
