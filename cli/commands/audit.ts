import { once } from 'node:events';
import type { Command } from 'commander';
import { UsageError, quoted } from '../process/errors.ts';
import { addDatabaseOption, configOf, type DatabaseOption } from '../options/database-option.ts';

interface ExportOptions extends DatabaseOption {
  readonly after?: string;
  readonly tenant?: string;
}

export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('Read who has changed what, in the database itself.');
  const exporting = audit
    .command('export')
    .description('Print the audit log as JSONL, one entry a line, oldest first.')
    .option('--after <sequence>', 'Only entries after this one: the `sequence` of the last entry of an earlier export.')
    .option('--tenant <id>', 'Only changes of the data of this tenant.');
  addDatabaseOption(exporting).action(run);
}

async function run({ after, tenant, ...options }: ExportOptions): Promise<void> {
  const { withDatabase } = await import('../stack/database.ts');
  const { createAuditService } = await import('../../src/tenants/audit/index.ts');
  const { isPosition } = await import('../../src/delivery/events/index.ts');
  if (after !== undefined && !isPosition(after)) {
    throw new UsageError(`--after is ${quoted(after)}, expected the sequence of an entry`);
  }
  await withDatabase(await configOf(options), async (db) => {
    const { entries } = await createAuditService({ db }).export({ after, tenant_id: tenant }, null);
    for await (const entry of entries) {
      if (!process.stdout.write(`${JSON.stringify(entry)}\n`)) await once(process.stdout, 'drain');
    }
  });
}
