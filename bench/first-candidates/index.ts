import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { BaseCache } from '../../core/engine/base-cache.ts';
import { graphCacheDir } from '../../src/config/graph-cache-dir.ts';
import { measureFirstCandidates, WAYS, type FirstCandidatesDocument } from './measure.ts';
import { benchCommand, type FirstCandidatesOptions } from './options.ts';

const options = benchCommand().parse().opts<FirstCandidatesOptions>();
const bases = new BaseCache({
  precision: 'auto',
  threads: availableParallelism(),
  graphCacheDir: graphCacheDir(process.env),
});
try {
  const document = await measureFirstCandidates(bases, options);
  if (options.json) await writeFile(options.json, `${JSON.stringify(document, null, 2)}\n`);
  process.stdout.write(`${toMarkdown(document)}\n`);
} finally {
  await bases.dispose();
}

function toMarkdown({ ms, fusing, losses, precision, tokens, machine }: FirstCandidatesDocument): string {
  const times = WAYS.map((way) => `| ${way} | ${median(ms[way]).toFixed(0)} | ${ms[way].map(Math.round).join(', ')} |`);
  const found = Object.entries(losses).map(([name, [few, many]]) => `${name} ${few.toFixed(4)} / ${many.toFixed(4)}`);
  return [
    `${machine.cpu}, ${machine.threads} threads, load ${machine.load.toFixed(1)}; ${precision}; ${tokens} tokens a candidate; fusing ${fusing.toFixed(0)} ms`,
    '',
    '| way | ms, median | ms, each round |',
    '| --- | --- | --- |',
    ...times,
    '',
    `Mean loss on 16 / 64 rows: ${found.join(' · ')}`,
  ].join('\n');
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}
