import type { Command } from 'commander';
import { addKubernetes } from './export-options.ts';

export function register(program: Command): void {
  addKubernetes(
    program.command('export').description('Write what is to be served, for those who route requests to it.'),
  );
}
