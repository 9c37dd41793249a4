import type { FastifyInstance } from 'fastify';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildApp } from '../../../src/api/app.ts';
import { timeProcessor } from '../../processor-time.ts';
import { bearer } from '../support/index.ts';
import { createAccessWorld, type AccessWorld } from './world.ts';

// `READAPT_MEASURE=2000 npx vitest run --project integration test/integration/access/confinement-cost.test.ts` measures
// the cost stated in docs/security.md. As a test, this only checks that it stays reasonable.
const REQUESTS = Number(process.env.READAPT_MEASURE ?? 40);

let world: AccessWorld;
let plain: FastifyInstance;

beforeAll(async () => {
  world = await createAccessWorld();
  plain = await buildApp(world.service.config, {
    ...world.service.deps,
    metrics: new Registry(),
    rowSecurity: false,
  });
});
afterAll(async () => {
  await plain.close();
  await world.close();
});

interface Cost {
  /** Shortest and median time of a request, and mean processor time of this process, in milliseconds. */
  least: number;
  time: number;
  cpu: number;
}

async function measured(app: FastifyInstance, url: string, times: number[]): Promise<number> {
  const start = performance.now();
  const { result: answer, processorMs } = await timeProcessor(() =>
    app.inject({ url, headers: bearer(world.acme.key) }),
  );
  times.push(performance.now() - start);
  expect(answer.statusCode).toBe(200);
  return processorMs;
}

/** Measures requests with and without confinement alternately, so that both see the same load of the machine. */
async function compare(urlOf: (turn: number) => string): Promise<{ confined: Cost; plain: Cost }> {
  const apps = { confined: world.service.app, plain };
  const times = { confined: [] as number[], plain: [] as number[] };
  const cpu = { confined: 0, plain: 0 };
  for (let turn = 0; turn < REQUESTS; turn++) {
    for (const name of ['confined', 'plain'] as const) {
      const spent = await measured(apps[name], urlOf(turn), times[name]);
      if (turn >= REQUESTS / 10) cpu[name] += spent;
      else times[name].length = 0;
    }
  }
  const counted = times.plain.length;
  const cost = (name: 'confined' | 'plain'): Cost => {
    const sorted = times[name].sort((a, b) => a - b);
    return { least: sorted[0]!, time: sorted[Math.floor(counted / 2)]!, cpu: cpu[name] / counted };
  };
  return { confined: cost('confined'), plain: cost('plain') };
}

/** Addresses with the same answer that differ each time, because the API would resend a cached body. */
const ANOTHER: Record<string, (turn: number) => string> = {
  'jobs/JOB': (turn) => `?n=${turn}`,
  // All jobs come after this cursor, because their identifiers sort before it.
  jobs: (turn) => `?cursor=${Buffer.from(`job_z${turn}`).toString('base64url')}`,
  adapters: () => '',
  'rollouts/ROLLOUT': (turn) => `?n=${turn}`,
  events: () => '',
};

test.each(Object.keys(ANOTHER))('GET /v1/%s', async (path) => {
  const url = `/v1/${path.replace('JOB', world.acme.owned.job).replace('ROLLOUT', world.rolloutId)}`;
  const { confined, plain } = await compare((turn) => url + ANOTHER[path]!(turn));
  if (process.env.READAPT_MEASURE !== undefined) {
    const shown = ({ time, cpu }: Cost) => `${time.toFixed(2)} ms (${cpu.toFixed(2)} ms of processor time)`;
    console.log(`GET /v1/${path}: confined ${shown(confined)}, without ${shown(plain)}`);
  }
  // Each additional statement waits for a busy processor, which the shortest time does not include.
  expect(confined.least).toBeLessThan(plain.least + 50);
});
