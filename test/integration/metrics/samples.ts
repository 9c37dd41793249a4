import type { Registry } from 'prom-client';

/** Values of a registry by their printed series, without buckets of histograms. */
export async function samplesOf(source: Registry | string): Promise<Record<string, number>> {
  const text = typeof source === 'string' ? source : await source.metrics();
  return Object.fromEntries(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#') && !line.includes('_bucket{'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}
