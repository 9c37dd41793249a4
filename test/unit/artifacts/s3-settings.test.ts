import { expect, test } from 'vitest';
import { createS3Client, parseS3Url } from '../../../src/artifacts/s3/s3-client.ts';
import { loadConfig } from '../../../src/config/config.ts';

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
