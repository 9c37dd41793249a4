import type { Command } from 'commander';
import { addCreate } from './create.ts';
import { addRotate } from './rotate.ts';

export function register(program: Command): void {
  const keys = program.command('keys').description('Manage API keys in the database itself, without an API key.');
  addCreate(keys);
  addRotate(keys);
}
