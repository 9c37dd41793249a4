import type { Command } from 'commander';
import { addKeysCreateCommand } from './create.ts';
import { addKeysRotateCommand } from './rotate.ts';

export function addKeysCommands(program: Command): void {
  const keys = program.command('keys').description('Manage API keys in the database itself, without an API key.');
  addKeysCreateCommand(keys);
  addKeysRotateCommand(keys);
}
