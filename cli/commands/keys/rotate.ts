import { InvalidArgumentError, Option, type Command } from 'commander';
import { UsageError, quoted } from '../../process/errors.ts';
import { addJsonOption, type JsonOption } from '../../options/common-options.ts';
import { addDatabaseOption, type DatabaseOption } from '../../options/database-option.ts';
import { withKeys } from './with-keys.ts';

interface RotateOptions extends JsonOption, DatabaseOption {
  readonly overlap: number;
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const LONGEST_MS = 30 * 86_400_000;

export function addKeysRotateCommand(keys: Command): void {
  const rotate = keys
    .command('rotate')
    .description(
      'Replace a key by a new one, and print that. The old one can be used until the overlap is over. Any key can be ' +
        "rotated, the operator's and those of tenants.",
    )
    .argument('<key>', 'Identifier of the key, as lists of keys show it: key_….')
    .addOption(
      new Option('--overlap <time>', 'How long both keys can be used, such as 30m, 24h or 7d; at most 30d.')
        .argParser(overlap)
        .default(UNITS.d, '1d'),
    );
  addDatabaseOption(rotate).action(run);
  addJsonOption(rotate);
}

async function run(id: string, options: RotateOptions): Promise<void> {
  const { AppError } = await import('../../../src/platform/contract/errors.ts');
  const { recordCommand } = await import('../../../src/tenants/api-keys/index.ts');
  const created = await withKeys(options, (keys) =>
    keys.rotate(id, { overlap_ms: options.overlap }, null, recordCommand('rotateApiKey')).catch((error: unknown) => {
      throw error instanceof AppError && error.status < 500 ? new UsageError(error.message, error.code) : error;
    }),
  );
  if (options.json) {
    process.stdout.write(`${JSON.stringify(created, null, 2)}\n`);
    return;
  }
  process.stderr.write(`key ${created.id} (${created.name}) takes the place of ${id}, shown this once:\n`);
  process.stdout.write(`${created.key}\n`);
}

function overlap(text: string): number {
  const [, count, unit = ''] = /^(\d{1,7})([smhd])$/.exec(text) ?? [];
  const milliseconds = Number(count) * (UNITS[unit] ?? NaN);
  if (milliseconds >= 0 && milliseconds <= LONGEST_MS) return milliseconds;
  throw new InvalidArgumentError(`expected a time up to 30d, such as 30m, 24h or 7d, found ${quoted(text)}.`);
}
