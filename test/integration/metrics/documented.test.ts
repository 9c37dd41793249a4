import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { countStoreFaults, registerPoolMetrics } from '../../../src/operations/metrics/index.ts';
import { createWorkerMetrics } from '../../../workers/metrics/worker-metrics.ts';
import { logger } from '../queue/test-queue.ts';
import { createTestApp, type TestApp } from '../support/index.ts';

interface Metric {
  name: string;
  type: string;
  labels: string[];
}

let service: TestApp;
beforeAll(async () => {
  service = await createTestApp();
});
afterAll(() => service.close());

/** Rows of the tables in sections whose headings end with the given words. */
async function documented(...sections: string[]): Promise<Metric[]> {
  const page = await readFile(path.resolve('docs/operating.md'), 'utf8');
  const parts = page.split(/^### /m).filter((part) => sections.some((name) => part.startsWith(`${name}\n`)));
  expect(parts).toHaveLength(sections.length);
  const rows = parts.flatMap((part) => part.split('\n').filter((line) => line.startsWith('| `readapt_')));
  return rows
    .map((row) => {
      const [, name = '', type = '', labels = ''] = row.split('|').map((cell) => cell.trim());
      return {
        name: name.replaceAll('`', ''),
        type,
        labels: [...labels.matchAll(/`(\w+)`/g)].map(([, one]) => one!).sort(),
      };
    })
    .sort(byName);
}

const byName = (one: { name: string }, other: { name: string }) => (one.name < other.name ? -1 : 1);

/** Readapt's metrics in a registry. prom-client keeps a metric's labels in a field that its types omit. */
function registered(registry: Registry): Metric[] {
  return registry
    .getMetricsAsArray()
    .map((metric) => {
      const { name, type, labelNames } = metric as unknown as { name: string; type: string; labelNames: string[] };
      return { name, type: String(type), labels: labelNames.filter((label) => label !== 'le').sort() };
    })
    .filter(({ name }) => name.startsWith('readapt_'))
    .sort(byName);
}

describe('docs/operating.md lists every metric, with its type and labels,', () => {
  test('of an API', async () => {
    countStoreFaults(service.deps.artifacts, service.deps.metrics);
    expect(registered(service.deps.metrics)).toEqual(
      await documented('Of the service, from each API', 'Of each process'),
    );
  });

  test('of a worker', async () => {
    const registry = new Registry();
    createWorkerMetrics({ registry, db: service.db, logger, device: 'cpu' });
    registerPoolMetrics(registry, service.db);
    countStoreFaults(service.deps.artifacts, registry);
    expect(registered(registry)).toEqual(await documented('Of each worker', 'Of each process'));
  });
});

test('names end as Prometheus wants them to: counters in _total, times in _seconds', () => {
  for (const { name, type } of registered(service.deps.metrics)) {
    expect(name.endsWith('_total'), name).toBe(type === 'counter');
    expect(name, name).not.toMatch(/_(ms|millis|minutes|hours|kb|mb|percent)$/);
  }
});
