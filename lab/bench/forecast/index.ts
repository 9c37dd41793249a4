import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { withDemoStack } from '../demo-stack.ts';
import { measurePredictions } from './measure.ts';
import { toMarkdown } from './report.ts';

const options = new Command('bench:forecast')
  .description(
    'Roll out the demo fleet several times with the real engine, ask for a forecast before each rollout, and compare ' +
      'the forecast with the actual times.',
  )
  .option('--json <file>', 'Write all figures to this file.')
  .helpOption('-h, --help', 'Show this help.')
  .parse()
  .opts<{ json?: string }>();

const measured = await withDemoStack('forecast', measurePredictions);
if (options.json) await writeFile(options.json, `${JSON.stringify(measured, null, 2)}\n`);
process.stdout.write(`${toMarkdown(measured)}\n`);
