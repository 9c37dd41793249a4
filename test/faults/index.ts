/** Fault campaign: `npm run test:faults -- --rounds 20 --seed 7`. Needs Linux. */
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Random } from '../../core/statistics/random.ts';
import { createFilesystemStore } from '../../src/platform/artifacts/index.ts';
import { problemsOf } from './support/checks.ts';
import { oneOf, possibleFaults } from './support/faults.ts';
import { startRollout } from './support/fleet.ts';
import { rolloutsBeside } from './support/newer-version.ts';
import { untilOver } from './support/progress.ts';
import { createReference } from './support/reference.ts';
import { startStack, until } from './support/stack.ts';
import { startWebhooks } from './support/webhooks.ts';

const USAGE = `npm run test:faults -- [--rounds N] [--seed S] [--queue postgres|redis] [--minutes M]
Each round rolls a small fleet out while processes are killed and stopped, disks are full, clocks jump and newer
versions are posted, and compares every job with an undisturbed one. At the end, all events have to have come to a
webhook. --minutes begins no round after that time.`;

/** Largest number of faults per round. More could use up the attempts of a job. */
const MOST_FAULTS = 3;
/** Longest pause before a fault, in milliseconds. */
const LONGEST_PAUSE_MS = 2500;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    queue: { type: 'string', default: 'postgres' },
    minutes: { type: 'string', default: '600' },
    help: { type: 'boolean', default: false },
  },
});
const [rounds, seed, minutes] = [values.rounds, values.seed, values.minutes].map(Number) as [number, number, number];
const { queue } = values;
const isUsable = [rounds, seed].every((value) => Number.isSafeInteger(value) && value >= 0) && minutes > 0;
if (values.help || !isUsable || (queue !== 'postgres' && queue !== 'redis')) {
  console.error(USAGE);
  process.exit(values.help ? 0 : 2);
}

const deadline = performance.now() + minutes * 60_000;
const stack = await startStack({ queue });
const artifacts = await createFilesystemStore(path.join(stack.dataDir, 'artifacts'));
const reference = createReference(stack, artifacts);
const webhooks = await startWebhooks(stack);
let [done, bad] = [0, 0];
/**
 * Problems found, repeated at the end: the logs of a bad round are long, and often only the end of an output is kept.
 */
const wrong: string[] = [];
try {
  const { faults, skipped } = possibleFaults(stack);
  for (const reason of skipped) console.log(`skipped: ${reason}`);
  for (let round = 1; round <= rounds && performance.now() < deadline; round++) {
    const random = Random.fromSeed(1000 * seed + round);
    await until('the API is ready', async () => (await fetch(`${stack.origin}/readyz`)).ok);
    const begun = performance.now();
    const rolloutId = await startRollout(stack, `${seed}-${round}`);
    const names: string[] = [];
    const isOver = async () => {
      const states = (await rolloutsBeside(stack, rolloutId)).map(({ state }) => state);
      return states.every((state) => state === 'completed' || state === 'failed');
    };
    for (let count = 1 + random.integer(MOST_FAULTS); count > 0; count--) {
      await sleep(random.uniform() * LONGEST_PAUSE_MS);
      const fault = oneOf(faults, random);
      const late = await isOver().catch(() => false);
      await fault.run(stack, random);
      names.push(late ? `(${fault.name})` : fault.name);
    }
    const problems = await untilOver(stack, rolloutId, isOver).then(
      () => problemsOf({ stack, artifacts, reference, rolloutId }),
      (error: Error) => [error.message],
    );
    done++;
    if (problems.length > 0) bad++;
    const seconds = ((performance.now() - begun) / 1000).toFixed(0);
    console.log(`round ${round}: ${names.join(', ')}: ${problems.length === 0 ? 'ok' : 'WRONG'} after ${seconds} s`);
    for (const problem of problems) console.log(`  ${problem}`);
    wrong.push(...problems.map((problem) => `round ${round}: ${problem}`));
    if (problems.length > 0 && bad === 1) console.log(await stack.logs());
  }
  const { events, repeated, problems } = await webhooks.problems();
  if (problems.length > 0) bad++;
  const verdict = problems.length === 0 ? 'all delivered' : 'WRONG';
  console.log(`webhooks: ${events} events, ${verdict}, ${repeated} of them more than once`);
  wrong.push(...problems);
} finally {
  await webhooks.close();
  await reference.close();
  await stack.close();
}
for (const problem of wrong) console.log(`  ${problem}`);
console.log(
  `${done} rounds, ${bad} wrong (seed ${seed}, queue in ${queue}); in parentheses: after the rollout had ended`,
);
process.exitCode = bad > 0 || done === 0 ? 1 : 0;
