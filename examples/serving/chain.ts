/**
 * Runs the whole chain from an imported adapter to the answer of an engine, see README.md. Exits with 0 if each step
 * was seen.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { createTemporaryFolder } from '../../cli/process/folders.ts';
import { FAMILY } from '../../cli/demo/fleet.ts';
import { InterruptedError, interruptible } from '../../cli/process/interruption.ts';
import { startLocalStack } from '../../cli/stack/local-stack.ts';
import { loadConfig } from '../../src/platform/config/config.ts';
import type { EngineCommand, RunningEngine } from './engines/start-engine.ts';
import { tellStory } from './steps/story.ts';

const HELP = `Usage: node --import tsx examples/serving/chain.ts [--vllm COMMAND [-- OPTIONS]]

  --vllm COMMAND  engine to start in place of the stand-in, such as "vllm serve"; it is given the model, the name
                  under which it is served, address, port, the options of LoRA, and then OPTIONS`;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  const { values, positionals: options } = parseArgs({
    allowPositionals: true,
    options: { vllm: { type: 'string' }, help: { type: 'boolean' } },
  });
  const { vllm: program = null, help } = values;
  if (help) return (say(HELP), 0);
  if (program === null && options.length > 0) return (say(HELP), 2);
  const dataDir = await createTemporaryFolder('readapt-serving-');
  try {
    return await interruptible((signal) => run({ dataDir, command: { program, options }, signal }));
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

interface RunOptions {
  readonly dataDir: string;
  readonly command: EngineCommand;
  readonly signal: AbortSignal;
}

async function run({ dataDir, command, signal }: RunOptions): Promise<number> {
  const servingFolder = path.join(dataDir, 'serving');
  const config = loadConfig({
    ...process.env,
    READAPT_DATA_DIR: dataDir,
    READAPT_PORT: '0',
    READAPT_ALLOWED_ROOTS: FAMILY,
    READAPT_SERVING_FOLDER: servingFolder,
    READAPT_REPLICA_ALLOWED_RANGES: '127.0.0.1/32',
    READAPT_LOG_LEVEL: process.env.READAPT_LOG_LEVEL ?? 'warn',
    DATABASE_URL: '',
    REDIS_URL: '',
  });
  say(`starting the service; engines are ${command.program ?? 'stand-ins that compute with Readapt'}`);
  const begun = Date.now();
  const stack = await startLocalStack(config, { worker: true, temporary: true });
  const engines: RunningEngine[] = [];
  const seen: { readonly what: string; readonly isSeen: boolean }[] = [];
  try {
    const story = tellStory({
      ...{ origin: stack.url, operatorKey: stack.operatorKey!, servingFolder, command, engines, signal, say },
      saw: (what, isSeen) => void seen.push({ what, isSeen }),
    });
    await Promise.race([story, stack.lost.then((error) => Promise.reject(error))]);
  } finally {
    // The service ends first, so that it does not report engines that are gone.
    await stack.stop();
    await Promise.all(engines.map((engine) => engine.stop()));
  }
  return conclude(seen, Date.now() - begun);
}

function conclude(seen: readonly { readonly what: string; readonly isSeen: boolean }[], tookMs: number): number {
  say('');
  for (const { what, isSeen } of seen) say(`${isSeen ? 'seen    ' : 'NOT SEEN'}  ${what}`);
  const missing = seen.filter(({ isSeen }) => !isSeen).length;
  say(`${seen.length - missing} of ${seen.length} steps were seen, in ${(tookMs / 1000).toFixed(0)} s`);
  return missing === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof InterruptedError)) throw error;
  process.stderr.write('interrupted: everything is stopped and removed\n');
  process.exitCode = error.exitCode;
}
