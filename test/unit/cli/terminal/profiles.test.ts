import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  profileFile,
  readProfiles,
  writeProfiles,
  type Profile,
} from '../../../../cli/remote/profiles/profile-file.ts';
import { findServiceTarget, isUnencrypted, normalizeUrl } from '../../../../cli/remote/profiles/target.ts';

const ACME: Profile = { url: 'https://readapt.acme.example', key: 'rdp_acme_secret' };
const LOCAL: Profile = { url: 'http://localhost:8420', key: 'rdp_local_secret' };

let folder: string;
let env: NodeJS.ProcessEnv;

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-profiles-'));
  env = { XDG_CONFIG_HOME: folder };
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function store(current: string | null = 'acme'): Promise<string> {
  const file = profileFile(env);
  await writeProfiles(file, { current, profiles: new Map(Object.entries({ acme: ACME, local: LOCAL })) });
  return file;
}

describe('the file of profiles', () => {
  it('is in XDG_CONFIG_HOME, or in .config where that is not set or not absolute', () => {
    const standard = path.join(os.homedir(), '.config/readapt/config.json');
    expect(profileFile(env)).toBe(path.join(folder, 'readapt/config.json'));
    expect(profileFile({})).toBe(standard);
    expect(profileFile({ XDG_CONFIG_HOME: 'relative' })).toBe(standard);
  });

  it('can be read and written by its user alone, and nothing else is left beside it', async () => {
    const file = await store();
    await store('local');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(path.dirname(file))).mode & 0o777).toBe(0o700);
    expect(await readdir(path.dirname(file))).toEqual(['config.json']);
    expect(await readProfiles(file)).toEqual({
      current: 'local',
      profiles: new Map(Object.entries({ acme: ACME, local: LOCAL })),
    });
  });

  it.each([0o640, 0o604, 0o620, 0o777])(
    'is refused with the mode %o, by a message that says what to do',
    async (mode) => {
      const file = await store();
      await chmod(file, mode);
      await expect(readProfiles(file)).rejects.toThrow(
        `${file} holds API keys, and its mode ${mode.toString(8)} lets other users at it: run \`chmod 600 ${file}\``,
      );
    },
  );

  it('is no profile where it does not exist', async () => {
    expect(await readProfiles(profileFile(env))).toEqual({ current: null, profiles: new Map() });
  });

  it.each([
    '',
    'null',
    '[]',
    '{}',
    '{"profiles":{"a":{"url":1,"key":""}}}',
    '{"profiles":{"../a":{"url":"","key":""}}}',
  ])('is refused where it holds %s, and left as it is', async (text) => {
    const file = await store();
    await writeFile(file, text);
    await expect(readProfiles(file)).rejects.toThrow(`${file} cannot be used`);
    expect(await readFile(file, 'utf8')).toBe(text);
  });
});

describe('the service that a command asks', () => {
  it('is that of --profile, before the environment, before the current profile', async () => {
    await store('acme');
    const both = { ...env, READAPT_URL: 'http://127.0.0.1:1/', READAPT_API_KEY: 'k' };
    expect(await findServiceTarget('local', both)).toEqual({ ...LOCAL, from: 'profile local' });
    expect(await findServiceTarget(undefined, both)).toMatchObject({ url: 'http://127.0.0.1:1', key: 'k' });
    expect(await findServiceTarget(undefined, env)).toEqual({ ...ACME, from: 'profile acme' });
    expect(await findServiceTarget(undefined, { ...env, READAPT_API_KEY: 'k' })).toMatchObject({
      url: ACME.url,
      key: 'k',
    });
    expect(await findServiceTarget(undefined, { ...env, READAPT_URL: '  ' })).toMatchObject(ACME);
  });

  it("is never sent the key of another address's profile", async () => {
    await store('acme');
    await expect(findServiceTarget(undefined, { ...env, READAPT_URL: 'https://evil.example' })).rejects.toThrow(
      'READAPT_URL is set and READAPT_API_KEY is not',
    );
    expect(await findServiceTarget(undefined, { ...env, READAPT_URL: `${ACME.url}/` })).toMatchObject(ACME);
  });

  it.each([
    ['nothing is set', {}, { exitCode: 3, message: expect.stringContaining('run `readapt login`') }],
    [
      'only the key is set',
      { READAPT_API_KEY: 'k' },
      { exitCode: 3, message: expect.stringContaining('READAPT_URL is not') },
    ],
    ['the address is none', { READAPT_URL: 'ftp://x', READAPT_API_KEY: 'k' }, { code: 'invalid_url' }],
  ])('is missing where %s', async (_what, extra, expected) => {
    await expect(findServiceTarget(undefined, { ...env, ...extra })).rejects.toMatchObject(expected);
  });

  it('says which profiles there are', async () => {
    await store(null);
    await expect(findServiceTarget('other', env)).rejects.toThrow(
      '--profile "other" does not exist: there are acme, local',
    );
    await expect(findServiceTarget('constructor', env)).rejects.toThrow('does not exist');
    await expect(findServiceTarget(undefined, env)).rejects.toThrow('no profile is the current one');
  });
});

describe('an address', () => {
  it.each([
    ['localhost:8420', 'http://localhost:8420'],
    ['127.0.0.1:8420/', 'http://127.0.0.1:8420'],
    ['readapt.example', 'https://readapt.example'],
    ['https://example.com/readapt/v1/', 'https://example.com/readapt'],
  ])('%s is %s', (given, url) => expect(normalizeUrl(given, '--url')).toBe(url));

  it.each(['', 'ftp://x', 'http://', 'https://me:secret@x', 'https://x/?key=1', 'file:///etc'])(
    '%j is none',
    (given) => {
      expect(() => normalizeUrl(given, '--url')).toThrow('--url is ');
      expect(() => normalizeUrl(given, '--url')).not.toThrow('secret');
    },
  );

  it('is unencrypted where it is http and not on this machine', () => {
    expect(['http://localhost:1', 'http://[::1]:2', 'https://x'].map(isUnencrypted)).toEqual([false, false, false]);
    expect(isUnencrypted('http://localhost.evil.example')).toBe(true);
  });
});
