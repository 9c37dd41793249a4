import type { Command } from 'commander';
import { readFile } from 'node:fs/promises';
import { UsageError } from '../process/errors.ts';

export function addOpenapiCommand(program: Command): void {
  program
    .command('openapi')
    .description('Print the OpenAPI document of the REST API, write it to a file, or compare it with one.')
    .option('--out <file>', 'File that the document is written to.')
    .option('--check <file>', 'File to compare with the document. The exit code is 1 if they differ.')
    .action(async (options: { out?: string; check?: string }) => {
      if (options.out !== undefined && options.check !== undefined) {
        throw new UsageError('--out and --check exclude each other: give one of them');
      }
      const { renderOpenApi } = await import('../../src/api/openapi.ts');
      const document = await renderOpenApi();
      if (options.check !== undefined) process.exitCode = await check(options.check, document);
      else if (options.out === undefined) process.stdout.write(document);
      else {
        const { writeFileAtomic } = await import('../../core/formats/atomic-file.ts');
        await writeFileAtomic(options.out, document);
      }
    });
}

async function check(file: string, document: string): Promise<number> {
  if ((await readFile(file, 'utf8')) === document) return 0;
  process.stderr.write(`${file} is not the current document: run \`npm run openapi\` and commit the result\n`);
  return 1;
}
