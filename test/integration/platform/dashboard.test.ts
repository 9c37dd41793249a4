import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import dashboard from '../../../src/api/plugins/dashboard.ts';
import { useProblems } from '../../../src/api/plugins/problems/problems.ts';
import { createTestApp } from '../support/index.ts';

let folder: string;
let app: FastifyInstance;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-dashboard-'));
  await mkdir(path.join(folder, 'assets'));
  app = Fastify();
  useProblems(app);
  await app.register(dashboard, { folder });
});

afterAll(async () => {
  await app.close();
  await rm(folder, { recursive: true, force: true });
});

test('a checkout without a built dashboard says how to build it, and serves it from then on', async () => {
  const before = await app.inject('/rollouts');
  expect(before.statusCode).toBe(404);
  expect(before.json().detail).toContain('npm run build:dashboard');

  await writeFile(path.join(folder, 'index.html'), '<meta content="__CSP_NONCE__">');
  const after = await app.inject('/rollouts');
  expect(after.statusCode).toBe(200);
  expect(after.body).toMatch(/^<meta content="[A-Za-z0-9+/=]{24}">$/);
});

test('nothing outside of the assets can be asked for', async () => {
  await writeFile(path.join(folder, 'outside.js'), 'top secret');
  for (const url of ['/assets/../outside.js', '/assets/%2e%2e/outside.js', '/assets/..%2foutside.js']) {
    const { statusCode, body } = await app.inject(url);
    expect([url, statusCode, body.includes('top secret')]).toEqual([url, 404, false]);
  }
});

test('READAPT_DASHBOARD=off serves none of it', async () => {
  const service = await createTestApp({ env: { READAPT_DASHBOARD: 'off' } });
  try {
    for (const url of ['/', '/rollouts', '/assets/index.js']) {
      const { statusCode, headers } = await service.request({ url, key: null });
      expect([statusCode, headers['content-type']]).toEqual([404, 'application/problem+json']);
    }
  } finally {
    await service.close();
  }
});
