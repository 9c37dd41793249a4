import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createPresigner, createSigner } from '../../../src/platform/artifacts/s3/presigned-urls.ts';
import { createS3Client, parseS3Url } from '../../../src/platform/artifacts/s3/s3-client.ts';
import type { PresignedUrl } from '../../../src/platform/artifacts/stored-files.ts';
import { loadConfig } from '../../../src/platform/config/config.ts';

test.each([
  ['s3://models', { bucket: 'models', prefix: '' }],
  ['s3://models/', { bucket: 'models', prefix: '' }],
  ['s3://models/readapt', { bucket: 'models', prefix: 'readapt/' }],
  ['s3://models/a//b/', { bucket: 'models', prefix: 'a/b/' }],
])('%s is a bucket and a prefix', (url, place) => {
  expect(parseS3Url(url)).toEqual(place);
  expect(loadConfig({ READAPT_ARTIFACTS: url }).artifacts).toBe(url);
});

test.each([
  [{ READAPT_ARTIFACTS: '/srv/artifacts' }, /^READAPT_ARTIFACTS is "\/srv\/artifacts", expected s3:\/\/bucket/],
  [{ READAPT_ARTIFACTS: 's3://Models' }, /^READAPT_ARTIFACTS is "s3:\/\/Models"/],
  [{ READAPT_S3_ENDPOINT: 'https://key:secret@' }, /^READAPT_S3_ENDPOINT is not usable/],
  [{ READAPT_S3_ENCRYPTION: 'aes' }, /^READAPT_S3_ENCRYPTION is "aes", expected AES256, aws:kms/],
  [{ READAPT_S3_PATH_STYLE: 'yes' }, /^READAPT_S3_PATH_STYLE is "yes", expected on or off/],
  [{ READAPT_S3_PUBLIC_ENDPOINT: 'https://key:secret@s3.example.com' }, /^READAPT_S3_PUBLIC_ENDPOINT is not usable/],
  [{ READAPT_S3_PUBLIC_ENDPOINT: 's3.example.com' }, /^READAPT_S3_PUBLIC_ENDPOINT is not usable, expected http/],
  [{ READAPT_S3_PRESIGN_SECONDS: '0' }, /^READAPT_S3_PRESIGN_SECONDS is "0", expected an integer from 1 to 604800/],
  [{ READAPT_S3_PRESIGN_SECONDS: '604801' }, /^READAPT_S3_PRESIGN_SECONDS is "604801"/],
  [{ READAPT_ARTIFACT_CACHE_SIZE: '10kB' }, /^READAPT_ARTIFACT_CACHE_SIZE is "10kB"/],
])('%o is refused', (env, words) => {
  expect(() => loadConfig(env)).toThrow(words);
});

test('a compatible service is asked by path in a region that every SDK has; Amazon as the SDK finds it', async () => {
  const compatible = createS3Client({ s3Endpoint: 'http://127.0.0.1:1', s3PathStyle: null }).config;
  expect([compatible.forcePathStyle, await compatible.region()]).toEqual([true, process.env.AWS_REGION ?? 'us-east-1']);
  const byHost = createS3Client({ s3Endpoint: 'http://127.0.0.1:1', s3PathStyle: false }).config;
  expect(byHost.forcePathStyle).toBe(false);
  expect(createS3Client({ s3Endpoint: null, s3PathStyle: null }).config.forcePathStyle).toBe(false);
});

test('a presigned URL for a public endpoint is signed with the region of the profile', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-profile-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const profile = path.join(folder, 'config');
  await writeFile(profile, '[profile models]\nregion = eu-central-1\n');
  onTestFinished(() => void vi.unstubAllEnvs());
  vi.stubEnv('AWS_CONFIG_FILE', profile);
  vi.stubEnv('AWS_PROFILE', 'models');
  vi.stubEnv('AWS_REGION', undefined);
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'a');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 's');
  const settings = { s3Endpoint: null, s3PathStyle: null, s3PublicEndpoint: 'https://models.example.com' };
  const signer = createSigner(settings, createS3Client(settings));
  const { hostname } = await signer.config.endpoint!();
  expect([hostname, await signer.config.region()]).toEqual(['models.example.com', 'eu-central-1']);
});

test('a presigned URL works for a quarter of an hour, unless the setting says otherwise', () => {
  const seconds = (text?: string) => loadConfig({ READAPT_S3_PRESIGN_SECONDS: text }).s3PresignSeconds;
  expect([seconds(), seconds('60'), seconds('off')]).toEqual([900, 60, null]);
});

test('a presigned URL does not outlive the credentials that sign it', async () => {
  const expiring = (ms: number) => {
    const credentials = {
      accessKeyId: 'a',
      secretAccessKey: 's',
      sessionToken: 't',
      expiration: new Date(Date.now() + ms),
    };
    const settings = { s3Endpoint: 'http://127.0.0.1:1', s3PathStyle: null };
    const client = createS3Client(settings, { credentials: () => Promise.resolve(credentials) });
    return createPresigner(client, { bucket: 'models', prefix: 'x/' }, 900)('key', { filename: 'f', mediaType: 'm' });
  };
  const [short, long] = [await expiring(400_000), await expiring(3_600_000)];
  const left = ({ expiresAt, url }: PresignedUrl) => {
    const seconds = Number(new URL(url).searchParams.get('X-Amz-Expires'));
    // Within the second of signing, both values are equal.
    expect(Math.abs((expiresAt.getTime() - Date.now()) / 1000 - seconds)).toBeLessThan(30);
    return seconds;
  };
  expect(left(short)).toBeGreaterThan(370);
  expect(left(short)).toBeLessThanOrEqual(401);
  expect(left(long)).toBe(900);
});
