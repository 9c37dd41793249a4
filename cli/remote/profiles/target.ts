import { EXIT, ServiceError, UsageError, quoted } from '../../process/errors.ts';
import { profileFile, readProfiles, type Profile, type ProfileBook } from './profile-file.ts';

/** Address and key of the service that a command asks, with where they were found. */
export interface ServiceTarget extends Profile {
  /** Description of where address and key were found, for messages: `profile acme`, or the environment variables. */
  readonly from: string;
}

/**
 * Finds the service to ask: the profile of `--profile`, else READAPT_URL and READAPT_API_KEY, else the current profile.
 * A profile's key is sent only to the address of that profile.
 * @throws UsageError if the settings do not fit together or cannot be read
 * @throws ServiceError if there is no key
 */
export async function findServiceTarget(
  profile?: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<ServiceTarget> {
  const book = await readProfiles(profileFile(env));
  if (profile !== undefined) return { ...named(book, profile), from: `profile ${profile}` };
  const [url, key] = [set(env.READAPT_URL), set(env.READAPT_API_KEY)];
  const current = book.current === null ? null : (book.profiles.get(book.current) ?? null);
  if (url !== null) return fromVariables(normalizeUrl(url, 'READAPT_URL'), key, current);
  if (current === null) throw noTarget(key, book);
  const { current: name } = book;
  return key === null
    ? { ...current, from: `profile ${name}` }
    : { url: current.url, key, from: `profile ${name}, with the key of READAPT_API_KEY` };
}

function named(book: ProfileBook, name: string): Profile {
  const found = book.profiles.get(name);
  if (found !== undefined) return found;
  const names = [...book.profiles.keys()];
  const there = names.length === 0 ? 'there are none yet' : `there are ${names.join(', ')}`;
  throw new UsageError(
    `--profile ${quoted(name)} does not exist: ${there}; \`readapt login --profile NAME\` makes one`,
    'unknown_profile',
  );
}

function fromVariables(url: string, key: string | null, current: Profile | null): ServiceTarget {
  if (key !== null) return { url, key, from: 'READAPT_URL and READAPT_API_KEY' };
  if (current?.url === url) return { ...current, from: 'READAPT_URL, with the key of its profile' };
  throw new UsageError(
    'READAPT_URL is set and READAPT_API_KEY is not: set both, or neither and sign in with `readapt login`. ' +
      'The key of a profile is sent to no other address than its own',
    'key_missing',
  );
}

function noTarget(key: string | null, { profiles }: ProfileBook): ServiceError {
  const message =
    key !== null
      ? 'READAPT_API_KEY is set and READAPT_URL is not: set the address too, such as http://localhost:8420'
      : profiles.size > 0
        ? 'no profile is the current one: choose one with `readapt profiles use NAME` or `--profile NAME`'
        : 'you are not signed in: run `readapt login`, or set READAPT_URL and READAPT_API_KEY';
  return new ServiceError(message, { code: 'not_signed_in', exitCode: EXIT.refused });
}

/** Value of an environment variable without surrounding white space; null if it is unset or blank. */
function set(value: string | undefined): string | null {
  const text = (value ?? '').trim();
  return text === '' ? null : text;
}

/**
 * Returns an address without a trailing slash or `/v1`. Without a scheme, this machine gets http, and any other host
 * https.
 * @param name name of the address in the error message
 * @throws UsageError
 */
export function normalizeUrl(text: string, name: string): string {
  const given = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `${isLocal(text) ? 'http' : 'https'}://${text}`;
  const url = URL.canParse(given) ? new URL(given) : null;
  const usable = url !== null && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '';
  if (!usable || url.username !== '' || url.password !== '') {
    throw new UsageError(
      `${name} is ${JSON.stringify(withoutPassword(text).slice(0, 200))}, expected the address of a service such ` +
        'as http://localhost:8420',
      'invalid_url',
    );
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '').replace(/\/v1$/, '');
}

/** Whether others could read a key on its way to this address, because it is not encrypted. */
export function isUnencrypted(url: string): boolean {
  return url.startsWith('http:') && !isLocal(new URL(url).host);
}

function isLocal(host: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?(\/|$)/i.test(host);
}

function withoutPassword(text: string): string {
  return text.replace(/\/\/[^/@]*@/, '//…@');
}
