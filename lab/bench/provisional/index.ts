import { Command } from 'commander';
import { withDemoStack } from '../demo-stack.ts';
import { positive } from '../positive.ts';
import { measureProvisional } from './measure.ts';

const { adapters } = new Command('bench:provisional')
  .description(
    'Give a fleet of copies of the demo adapters provisional versions, by one worker with the real engine, and print ' +
      'the time of an adapter.',
  )
  .option('--adapters <number>', 'Number of adapters.', positive, 120)
  .helpOption('-h, --help', 'Show this help.')
  .parse()
  .opts<{ adapters: number }>();

const measured = await withDemoStack('provisional', (stack) => measureProvisional({ ...stack, adapters }));
const rows = measured.map(({ provisional, seconds }) => {
  const each = ((seconds / adapters) * 1000).toFixed(0);
  return `| \`${provisional}\` | ${seconds.toFixed(1)} s | ${each} ms |`;
});
process.stdout.write(`| ${adapters} adapters | in all | an adapter |\n| --- | --- | --- |\n${rows.join('\n')}\n`);
