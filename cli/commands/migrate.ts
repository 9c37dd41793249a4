import type { Command } from 'commander';
import { UsageError } from '../errors.ts';

export function register(program: Command): void {
  program
    .command('migrate')
    .description('apply the pending database migrations to DATABASE_URL')
    .option('--json', 'print the applied migrations as JSON', false)
    .action(async (options: { json: boolean }) => {
      const { loadConfig } = await import('../../src/config/config.ts');
      const { applyMigrations } = await import('../../src/embedded/index.ts');
      const { databaseUrl } = loadConfig(process.env);
      if (databaseUrl === null) {
        throw new UsageError('DATABASE_URL is not set; the embedded database is migrated by `readapt serve` itself');
      }
      const applied = await applyMigrations(databaseUrl);
      if (options.json) process.stdout.write(`${JSON.stringify({ applied })}\n`);
      else process.stdout.write(applied.length === 0 ? 'nothing to apply\n' : `applied ${applied.join(', ')}\n`);
    });
}
