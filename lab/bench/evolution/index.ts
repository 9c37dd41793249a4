import { writeFile } from 'node:fs/promises';
import { measureEvolution } from './measure.ts';
import { benchCommand, type EvolutionBenchOptions } from './options.ts';
import { toMarkdown } from './report.ts';

const options = benchCommand().parse().opts<EvolutionBenchOptions>();
const document = await measureEvolution(options, (line) => void process.stderr.write(`${line}\n`));
if (options.json) await writeFile(options.json, `${JSON.stringify(document, null, 2)}\n`);
process.stdout.write(`${toMarkdown(document)}\n`);
