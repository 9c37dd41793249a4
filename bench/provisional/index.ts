import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { FAMILY } from '../../cli/demo/fleet.ts';
import { startLocalStack } from '../../cli/stack/local-stack.ts';
import { loadConfig } from '../../src/config/config.ts';
import { positive } from '../positive.ts';
import { measureProvisional } from './measure.ts';

const { adapters } = new Command('bench:provisional')
  .description(
    'Give a fleet of copies of the demo adapters provisional versions, by one worker with the real engine, and say how long an adapter takes.',
  )
  .option('--adapters <number>', 'Number of adapters.', positive, 120)
  .helpOption('-h, --help', 'Show this help.')
  .parse()
  .opts<{ adapters: number }>();

const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-bench-provisional-'));
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
  const options = { origin: stack.url, operatorKey: stack.operatorKey!, adapters, log };
  const rows = (await measureProvisional(options)).map(({ provisional, seconds }) => {
    const each = ((seconds / adapters) * 1000).toFixed(0);
    return `| \`${provisional}\` | ${seconds.toFixed(1)} s | ${each} ms |`;
  });
  process.stdout.write(`| ${adapters} adapters | in all | an adapter |\n| --- | --- | --- |\n${rows.join('\n')}\n`);
} finally {
  await stack.stop();
  await rm(folder, { recursive: true, force: true });
}
