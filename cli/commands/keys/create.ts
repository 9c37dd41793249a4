import { InvalidArgumentError, type Command } from 'commander';
import { UsageError, quoted } from '../../process/errors.ts';
import { addJsonOption, type JsonOption } from '../../options/common-options.ts';
import { addDatabaseOption, type DatabaseOption } from '../../options/database-option.ts';
import { withKeys } from './with-keys.ts';

interface CreateOptions extends JsonOption, DatabaseOption {
  readonly operator?: boolean;
  readonly serving?: boolean;
  readonly name: string;
  readonly expiresAt?: string;
}

const LONGEST_NAME = 100;

export function addKeysCreateCommand(keys: Command): void {
  const create = keys
    .command('create')
    .description(
      'Create a key that belongs to no tenant, and print it. This is the only time that it is shown. The API ' +
        'creates all other keys.',
    )
    .option('--operator', 'Create a key that may do everything, for all tenants.')
    .option(
      '--serving',
      'Create a key that may only read what is to be served, of all tenants, for engines and gateways.',
    )
    .option('--name <text>', 'Name of the key, by which lists of keys show it.', name, 'made on the command line')
    .option(
      '--expires-at <time>',
      'Time from which the key is refused, as 2027-01-31T00:00:00Z. (default: never)',
      time,
    );
  addDatabaseOption(create).action(run);
  addJsonOption(create);
}

async function run(options: CreateOptions): Promise<void> {
  if (options.operator === options.serving) {
    const found = options.operator ? '--operator and --serving are both given' : '--operator or --serving is missing';
    throw new UsageError(
      `${found}: name one of them, since only keys of no tenant are created here; the API creates all others`,
    );
  }
  const scope = options.operator ? ('operator' as const) : ('serving:read' as const);
  const { recordCommand } = await import('../../../src/tenants/api-keys/index.ts');
  const request = { name: options.name, tenant_id: null, scopes: [scope], expires_at: options.expiresAt ?? null };
  const { id, name, key, created_at, expires_at } = await withKeys(options, (keys) =>
    keys.create(request, null, recordCommand('createApiKey')),
  );
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ id, name, key, created_at, expires_at }, null, 2)}\n`);
    return;
  }
  process.stderr.write(`${options.operator ? 'operator' : 'serving'} key ${id} (${name}), shown this once:\n`);
  process.stdout.write(`${key}\n`);
}

function name(text: string): string {
  if (text.trim() !== '' && text.length <= LONGEST_NAME) return text;
  throw new InvalidArgumentError(`expected 1 to ${LONGEST_NAME} characters, found ${text.length}.`);
}

function time(text: string): string {
  const milliseconds = /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : NaN;
  if (milliseconds > Date.now()) return new Date(milliseconds).toISOString();
  throw new InvalidArgumentError(`expected a time in the future such as 2027-01-31T00:00:00Z, found ${quoted(text)}.`);
}
