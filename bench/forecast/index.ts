import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { FAMILY } from '../../cli/demo/fleet.ts';
import { startLocalStack } from '../../cli/stack/local-stack.ts';
import { loadConfig } from '../../src/config/config.ts';
import { measurePredictions } from './measure.ts';
import { toMarkdown } from './report.ts';

const options = new Command('bench:forecast')
  .description(
    'Roll out the demo fleet several times with the real engine, ask for a forecast before each rollout, and compare it with what the rollout has taken.',
  )
  .option('--json <file>', 'Write all figures to this file.')
  .helpOption('-h, --help', 'Show this help.')
  .parse()
  .opts<{ json?: string }>();

const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-bench-forecast-'));
const config = loadConfig({
  READAPT_DATA_DIR: folder,
  READAPT_PORT: '0',
  READAPT_ALLOWED_ROOTS: FAMILY,
  READAPT_LOG_LEVEL: 'warn',
  DATABASE_URL: '',
  REDIS_URL: '',
});
const stack = await startLocalStack(config, { worker: true, temporary: true });
try {
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  const measured = await measurePredictions({ origin: stack.url, operatorKey: stack.operatorKey!, log });
  if (options.json) await writeFile(options.json, `${JSON.stringify(measured, null, 2)}\n`);
  process.stdout.write(`${toMarkdown(measured)}\n`);
} finally {
  await stack.stop();
  await rm(folder, { recursive: true, force: true });
}
