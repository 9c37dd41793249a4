import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConfigError, loadConfig } from '../../../src/platform/config/config.ts';
import { startServer } from '../../../src/api/server.ts';

describe('a value that cannot be used', () => {
  test.each([
    ['READAPT_PORT', 'abc', '"abc"', '0 to 65535'],
    ['READAPT_PORT', '70000', '"70000"', '0 to 65535'],
    ['READAPT_PORT', '80.5', '"80.5"', '0 to 65535'],
    ['READAPT_BODY_LIMIT_BYTES', '10', '"10"', '1024'],
    ['READAPT_UPLOAD_LIMIT_BYTES', '4GiB', '"4GiB"', '1024'],
    ['READAPT_DATASET_ROW_LIMIT', '0', '"0"', '1 to 2147483647'],
    ['READAPT_LOG_LEVEL', 'loud', '"loud"', 'debug'],
    ['READAPT_DEVICE', 'tpu', '"tpu"', 'auto, cpu, cuda'],
    ['READAPT_PRECISION', 'f8', '"f8"', 'auto, f32, f16 or int8'],
    ['READAPT_THREADS', '0', '"0"', '1 to 1024'],
    ['READAPT_MEMORY', 'much', '"much"', 'such as 12GiB'],
    ['READAPT_MEMORY', '64MiB', '"64MiB"', 'at least 256MiB'],
    ['READAPT_RATE_LIMIT_PER_MINUTE', '-1', '"-1"', 'at least 1'],
    ['READAPT_QUOTA_ADAPTERS', 'many', '"many"', 'at least 0, or none'],
    ['READAPT_QUOTA_STORED_BYTES', '-1', '"-1"', 'at least 0, or none'],
    ['READAPT_ROW_SECURITY', 'off', '"off"', 'auto or required'],
    ['READAPT_DASHBOARD', 'yes', '"yes"', 'on or off'],
    ['READAPT_INSPECTIONS', '0', '"0"', '1 to 64'],
    ['READAPT_API_CONNECTIONS', '0', '"0"', '1 to 1000'],
    ['READAPT_WORKER_CONNECTIONS', 'many', '"many"', '1 to 1000'],
    ['READAPT_WORKER_METRICS_PORT', '70000', '"70000"', '0 to 65535'],
    ['READAPT_INSPECTION_MEMORY', '64MiB', '"64MiB"', 'at least 128MiB'],
    ['READAPT_INSPECTION_TIMEOUT_MS', '5s', '"5s"', '100 to 3600000'],
    ['READAPT_EVENT_RETENTION_DAYS', '0', '"0"', '1 to 36500 .days., or off'],
    ['READAPT_DELETION_GRACE_DAYS', '-1', '"-1"', '0 to 3650'],
    ['READAPT_SERVING_GRACE_MS', '15m', '"15m"', '0 to 2592000000'],
    ['READAPT_AUDIT_RETENTION_DAYS', '0', '"0"', '1 to 36500 .days., or off'],
    ['READAPT_DEVICE_USE_RETENTION_DAYS', '31', '"31"', '32 to 36500 .days., or off'],
    ['READAPT_METRIC_RETENTION_DAYS', 'never', '"never"', '1 to 36500 .days., or off'],
    ['READAPT_WEBHOOK_RETENTION_DAYS', '3', '"3"', '4 to 36500 .days., or off'],
    ['READAPT_WEBHOOK_ALLOWED_RANGES', '10.0.0.0/33', '"10.0.0.0/33"', 'such as 10.20.0.0/16'],
    ['READAPT_WEBHOOK_ALLOWED_RANGES', 'localhost', '"localhost"', 'such as 10.20.0.0/16'],
    ['READAPT_CORS_ORIGINS', 'https://fleet.example.com/', '"https://fleet.example.com/"', 'such as https://fleet'],
    ['READAPT_CORS_ORIGINS', 'fleet.example.com', '"fleet.example.com"', 'such as https://fleet'],
    ['READAPT_SECRET_KEY', 'hunter2', 'not usable', '32 random bytes in base64'],
    ['READAPT_APPROVAL_SECRET', `whsec_${'A'.repeat(33)}`, 'not usable', 'whsec_'],
    ['READAPT_APPROVAL_SECRET', 'hunter2', 'not usable', 'whsec_'],
    ['READAPT_HUB_URL', 'https://user:hunter2@hub.example', 'not usable', 'READAPT_HUB_TOKEN'],
    ['REDIS_URL', 'localhost:6379', 'not usable', 'redis://'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318', 'not usable', 'http://host:port'],
    ['DATABASE_URL', 'mysql://root:hunter2@db/x', 'not usable', 'postgresql://'],
  ])('%s=%s stops the start with a line that names it', (variable, value, found, expected) => {
    const load = () => loadConfig({ [variable]: value });
    expect(load).toThrow(ConfigError);
    expect(load).toThrow(new RegExp(`^${variable} is ${found}, expected .*${expected}`));
    expect(load).not.toThrow(/hunter2/);
  });

  test('is named together with all others', () => {
    const load = () => loadConfig({ READAPT_PORT: 'x', READAPT_DEVICE: 'y' });
    expect(load).toThrow(/READAPT_PORT[^\n]*\nREADAPT_DEVICE/);
  });
});

test('blank is unset, folders are absolute, and nothing changes afterwards', () => {
  const config = loadConfig({
    READAPT_PORT: '  ',
    DATABASE_URL: '',
    READAPT_DATA_DIR: 'here',
    READAPT_ALLOWED_ROOTS: `/a${path.delimiter}b${path.delimiter}`,
  });
  expect(config.port).toBe(8420);
  expect(config.databaseUrl).toBeNull();
  expect(config.dataDir).toBe(path.resolve('here'));
  expect(config.allowedRoots).toEqual(['/a', path.resolve('b')]);
  expect(Object.isFrozen(config) && Object.isFrozen(config.allowedRoots)).toBe(true);
});

test('a quota is a number, none, or the default', () => {
  const quotas = (text: string) => loadConfig({ READAPT_QUOTA_ADAPTERS: text }).quotas.adapters;
  expect([quotas('0'), quotas('7'), quotas('none'), quotas(' ')]).toEqual([0, 7, null, 10_000]);
});

test.each([
  ['12GiB', 12 * 2 ** 30],
  ['1.5 gib', 1.5 * 2 ** 30],
  ['512MB', 512e6],
  ['2147483648', 2 ** 31],
  [' ', null],
])('READAPT_MEMORY=%s is %s bytes', (text, bytes) => {
  expect(loadConfig({ READAPT_MEMORY: text }).memoryBytes).toBe(bytes);
});

test("compiled graphs are kept in the folder that is named, in the user's cache folder, or nowhere", () => {
  const cacheOf = (env: Record<string, string>) => loadConfig(env).graphCacheDir;
  expect(cacheOf({ READAPT_GRAPH_CACHE: 'graphs' })).toBe(path.resolve('graphs'));
  expect(cacheOf({ READAPT_GRAPH_CACHE: '/a/../b' })).toBe('/b');
  expect(cacheOf({ READAPT_GRAPH_CACHE: ' ', XDG_CACHE_HOME: '/c', LOCALAPPDATA: '/c' })).toBe('/c/readapt/graphs');
  expect(cacheOf({ XDG_CACHE_HOME: 'relative', LOCALAPPDATA: 'relative' })).toMatch(
    /^\/.*[Cc]aches?\/readapt\/graphs$/,
  );
  expect(cacheOf({ READAPT_GRAPH_CACHE: 'off' })).toBeNull();
});

test('a database that cannot be reached stops the start', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-unreachable-'));
  const config = loadConfig({
    DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none',
    READAPT_PORT: '0',
    READAPT_LOG_LEVEL: 'silent',
    READAPT_DATA_DIR: folder,
  });
  try {
    await expect(startServer(config)).rejects.toThrow('ECONNREFUSED');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
