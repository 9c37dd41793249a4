import { Argument, type Command } from 'commander';
import { addAllOptions } from '../../options/later-options.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

const HELP = `
Examples:
  source <(readapt completion bash)                                        # this shell; in ~/.bashrc, all later ones
  readapt completion zsh > "\${fpath[1]}/_readapt"                          # zsh, from its next start on
  readapt completion fish > ~/.config/fish/completions/readapt.fish        # fish`;

export function addCompletionCommand(program: Command): void {
  program
    .command('completion')
    .description('Print a script by which a shell completes commands, options and their values.')
    .addArgument(new Argument('<shell>', 'The shell that the script is for.').choices(SHELLS))
    .addHelpText('after', HELP)
    .action((shell: Shell) => print(program, shell));
}

/**
 * Prints a script that holds all candidates, so that completion starts no process. The completion libraries for
 * Commander start the command at every Tab, which takes seconds in a checkout, and complete no files or folders.
 */
async function print(program: Command, shell: Shell): Promise<void> {
  const { commandTree } = await import('./command-tree.ts');
  await addAllOptions(program);
  process.stdout.write((await writerOf(shell))(commandTree(program)));
}

async function writerOf(shell: Shell) {
  switch (shell) {
    case 'bash':
      return (await import('./bash.ts')).bashCompletion;
    case 'zsh':
      return (await import('./zsh.ts')).zshCompletion;
    case 'fish':
      return (await import('./fish.ts')).fishCompletion;
  }
}
