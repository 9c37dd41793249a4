import type { Command } from 'commander';
import { readFile } from 'node:fs/promises';
import { UsageError } from '../errors.ts';

export function register(program: Command): void {
  program
    .command('openapi')
    .description('print the OpenAPI document of the REST API, or write it, or compare it with a file')
    .option('--out <file>', 'write the document to this file')
    .option('--check <file>', 'exit with 1 when this file is not the current document')
    .action(async (options: { out?: string; check?: string }) => {
      if (options.out !== undefined && options.check !== undefined) {
        throw new UsageError('--out and --check exclude each other');
      }
      const { renderOpenApi } = await import('../../src/openapi.ts');
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
  process.stderr.write(`${file} is stale: run \`npm run openapi\` and commit the result\n`);
  return 1;
}
