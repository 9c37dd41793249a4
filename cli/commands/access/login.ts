import type { Command } from 'commander';
import { UsageError, quoted } from '../../process/errors.ts';
import type { Caller } from '../../remote/client.ts';
import { addServiceOptions, connectToService, type ServiceOptions } from '../../remote/service.ts';
import type { ServiceTarget } from '../../remote/profiles/target.ts';

interface LoginOptions extends ServiceOptions {
  readonly url?: string;
  readonly keyStdin?: boolean;
}

const STANDARD_URL = 'http://localhost:8420';
const STANDARD_PROFILE = 'default';

export function addLoginCommand(program: Command): void {
  const command = program
    .command('login')
    .description('Sign in to a running service: check an API key, and keep it in a profile with the address.')
    .option('--url <address>', 'Address of the service. Without it, you are asked, unless READAPT_URL is set.')
    .option(
      '--key-stdin',
      'Read the key from standard input, for scripts. Without it, you are asked, and nothing is shown.',
    )
    .action(login);
  addServiceOptions(command, [
    'readapt login',
    'readapt login --profile acme --url https://readapt.example.com',
    'readapt login --url localhost:8420 --key-stdin < data/operator-key',
  ]);
}

async function login(options: LoginOptions): Promise<void> {
  const files = await import('../../remote/profiles/profile-file.ts');
  const { isUnencrypted } = await import('../../remote/profiles/target.ts');
  const file = files.profileFile();
  // Read the file before asking for a key: a file that cannot be read must not be replaced.
  const book = await files.readProfiles(file);
  const name = options.profile ?? book.current ?? STANDARD_PROFILE;
  if (!files.isProfileName(name)) {
    throw new UsageError(`--profile is ${quoted(name)}, expected ${files.PROFILE_NAME_EXPECTED}`);
  }
  const url = await addressOf(options, book.profiles.get(name)?.url);
  if (isUnencrypted(url)) {
    process.stderr.write(`${url} is not encrypted: whoever is between here and there can read the key\n`);
  }
  const key = await keyOf(options);
  const identity = await identify({ url, key, from: 'the key that was given' });
  await files.writeProfiles(file, { current: name, profiles: new Map(book.profiles).set(name, { url, key }) });
  if (options.json) process.stdout.write(`${JSON.stringify({ profile: name, url, identity }, null, 2)}\n`);
  else
    process.stdout.write(`signed in to ${url} as ${describeIdentity(identity)}\nprofile ${name} is kept in ${file}\n`);
}

async function identify(target: ServiceTarget) {
  const { explain } = await import('../../remote/explain.ts');
  const { whoami } = await import('../../remote/client.ts');
  return whoami({ client: await connectToService(target) }).catch(async (error: unknown) => {
    throw await explain(error, target);
  });
}

/** Describes the owner of a key, such as `tenant acme, with tenant:write (key "ci")`. */
function describeIdentity({
  name,
  is_operator: isOperator,
  tenant_id: tenant,
  tenant_name: tenantName,
  scopes,
}: Caller): string {
  const who = isOperator ? 'the operator' : `tenant ${tenantName ?? tenant ?? '–'}`;
  return `${who}, with ${scopes.join(', ')} (key ${JSON.stringify(name)})`;
}

async function addressOf({ url, keyStdin = false }: LoginOptions, before?: string): Promise<string> {
  const { normalizeUrl } = await import('../../remote/profiles/target.ts');
  const { ask } = await import('../../screen/ask.ts');
  const given = url ?? (process.env.READAPT_URL?.trim() || undefined);
  if (given !== undefined) return normalizeUrl(given, url === undefined ? 'READAPT_URL' : '--url');
  // Standard input carries the key, so it cannot answer a question.
  if (keyStdin && before !== undefined) return before;
  const answer = await ask({ text: 'Address of the service', standard: before ?? STANDARD_URL, instead: '--url' });
  return normalizeUrl(answer, 'the address');
}

async function keyOf({ keyStdin = false }: LoginOptions): Promise<string> {
  const { ask, readKeyFromStdin } = await import('../../screen/ask.ts');
  const key = keyStdin
    ? await readKeyFromStdin()
    : await ask({ text: 'API key', hidden: true, instead: 'the key by --key-stdin' });
  if (key === '') throw new UsageError('no key was given', 'key_missing');
  if (!/^[\x21-\x7e]+$/.test(key))
    throw new UsageError('the key has characters that no key has: expected rdp_…', 'key_invalid');
  return key;
}
