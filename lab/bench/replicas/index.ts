import { writeFile } from 'node:fs/promises';
import { startStack } from '../service/stack.ts';
import { measureReplicas } from './measure.ts';
import { benchCommand, type ReplicaBenchOptions } from './options.ts';
import { toMarkdown } from './report.ts';

const options = benchCommand().parse().opts<ReplicaBenchOptions>();
const stack = await startStack();
try {
  const figures = await measureReplicas(stack, options, (line) => void process.stderr.write(`${line}\n`));
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(figures, null, 2)}\n`);
  process.stdout.write(`${toMarkdown(figures)}\n`);
} finally {
  await stack.close();
}
