import { describe, expect, test } from 'vitest';
import { parseRemoteSource, type ExternalSource } from '../../../src/platform/base-sources/index.ts';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { isAllowedPlace, isOfArtifacts } from '../../../src/fleet/adapters/sources/allowed-places.ts';

const ACME = { id: 'ten_1', name: 'acme' };
const placesOf = (text: string) => loadConfig({ READAPT_ADAPTER_SOURCES: text }).adapterSources;
const sourceOf = (text: string) => parseRemoteSource(text) as ExternalSource;
const isAllowed = (places: string, source: string, tenant = ACME) =>
  isAllowedPlace(sourceOf(source), placesOf(places), tenant);

describe('what a tenant may import', () => {
  test.each([
    ['hf://', 'hf://anybody/anything', true],
    ['hf://', 's3://bucket/anything', false],
    ['hf://acme', 'hf://acme/sentiment@v2', true],
    ['hf://acme', 'hf://acme-2/sentiment', false],
    ['hf://acme/sentiment', 'hf://acme/sentiment-2', false],
    ['s3://bucket', 's3://bucket/any/folder', true],
    ['s3://bucket', 's3://bucket', true],
    ['s3://bucket', 's3://bucket-2/any/folder', false],
    ['s3://bucket/{tenant}', 's3://bucket/acme', true],
    ['s3://bucket/{tenant}', 's3://bucket/acme/one/two', true],
    ['s3://bucket/{tenant}/', 's3://bucket/acme/', true],
    ['s3://bucket/{tenant}', 's3://bucket/acme-2', false],
    ['s3://bucket/{tenant}', 's3://bucket/ACME', false],
    ['s3://bucket/{tenant}', 's3://bucket', false],
    ['s3://bucket/{tenant}', 's3://bucket/{tenant}', false],
    ['s3://bucket/{tenant}/adapters', 's3://bucket/acme/other', false],
    ['s3://bucket/{tenant_id}', 's3://bucket/ten_1/one', true],
    ['s3://bucket/{tenant_id}', 's3://bucket/acme', false],
    ['s3://bucket/a, hf://acme', 'hf://acme/one', true],
  ])('%s: %s is %s', (places, source, expected) => {
    // Texts that are not sources are rejected earlier.
    const parsed = parseRemoteSource(source) as ExternalSource | null;
    expect(parsed !== null && isAllowedPlace(parsed, placesOf(places), ACME)).toBe(expected);
  });

  test('no name of a tenant leads out of its folder', () => {
    for (const name of ['..', '.', '', 'other/..', 'acme/other', '{tenant}']) {
      const odd = { id: 'ten_2', name };
      expect(isAllowed('s3://bucket/{tenant}', 's3://bucket/acme/other', odd)).toBe(false);
    }
  });
});

describe('artifacts', () => {
  test.each([
    ['s3://bucket/readapt', 's3://bucket/readapt/folders/ab', true],
    ['s3://bucket/readapt', 's3://bucket/readapt', true],
    ['s3://bucket/readapt', 's3://bucket/readapt-2', false],
    ['s3://bucket', 's3://bucket/anything', true],
    ['s3://bucket/readapt', 's3://other/readapt', false],
  ])('%s holds %s: %s', (artifacts, source, expected) => {
    expect(isOfArtifacts(sourceOf(source), artifacts)).toBe(expected);
    expect(isOfArtifacts(sourceOf(source), null)).toBe(false);
  });
});

describe('READAPT_ADAPTER_SOURCES', () => {
  test.each([
    'hf://, s3://bucket/{tenant}/adapters, s3://bucket/{tenant}',
    's3://bucket/tenants/{tenant}, s3://bucket/shared',
    's3://one/{tenant}, s3://two/{tenant_id}',
  ])('takes %s', (text) => {
    expect(placesOf(text)).toEqual(text.split(', '));
  });

  test.each([
    ['no place', 'https://bucket.example.com/'],
    ['a folder', '/models'],
    ['a place that leads up', 's3://bucket/../other'],
    ['a part of a folder', 's3://bucket/adapters-{tenant}'],
    ['something else in braces', 's3://bucket/{user}'],
    ['a bucket for each tenant', 's3://{tenant}/adapters'],
    ['an organization for each tenant, whose names the hub tells apart by letters alone', 'hf://{tenant}'],
    [
      'the folder of a tenant of a certain name, which holds those of all others',
      's3://b/{tenant},s3://b/archive/{tenant}',
    ],
    ['names and identifiers side by side', 's3://b/{tenant},s3://b/{tenant_id}'],
    ['tenants that meet by their names', 's3://b/x/{tenant},s3://b/{tenant}/y'],
    ['a folder that holds those of all tenants', 's3://b/tenants,s3://b/tenants/{tenant}'],
    ['a folder of all that a tenant may be called like', 's3://b/shared,s3://b/{tenant}'],
  ])('refuses %s', (_what, text) => {
    expect(() => placesOf(text)).toThrow(/READAPT_ADAPTER_SOURCES is .*, expected places separated by ","/);
  });
});
