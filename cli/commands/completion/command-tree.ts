import type { Command, Option } from 'commander';

/** Kind of values that a shell offers for an option: none, a fixed list, files or folders. */
export type Completed = 'nothing' | 'choices' | 'files' | 'folders';

export interface OptionNode {
  /** Short and long flag as typed: `-h`, `--help`. */
  readonly names: readonly string[];
  readonly description: string;
  readonly takesValue: boolean;
  readonly completed: Completed;
  readonly choices: readonly string[];
}

/** A command with the subcommands, options and arguments that shells offer after it. */
export interface CommandNode {
  /** Words that lead to the command, without the program's name: `['rollout', 'create']`. */
  readonly path: readonly string[];
  readonly name: string;
  readonly description: string;
  readonly options: readonly OptionNode[];
  readonly children: readonly CommandNode[];
  /** Legal values of the first argument; empty if any value will do. */
  readonly choices: readonly string[];
  /** Whether the command's argument is a file or a folder. */
  readonly takesFiles: boolean;
}

/** Reads the command tree from Commander, which prints `--help` from the same data. */
export function commandTree(command: Command, path: readonly string[] = []): CommandNode {
  const help = command.createHelp();
  const children = help.visibleCommands(command).map((child) => commandTree(child, [...path, child.name()]));
  const [first] = command.registeredArguments;
  return {
    path,
    name: command.name(),
    description: firstSentence(command.description()),
    options: help.visibleOptions(command).map(optionNode),
    children,
    choices: first?.argChoices ?? [],
    takesFiles: command.registeredArguments.some((argument) => /^(file|folder)/.test(argument.name())),
  };
}

/** Flattens the tree: a command and all its descendants, in the order of `--help`. */
export function allCommands(node: CommandNode): readonly CommandNode[] {
  return [node, ...node.children.flatMap(allCommands)];
}

/**
 * Joins the words of a command as the completion scripts compare them, with a space before each word; empty for the
 * program itself.
 */
export function spelled({ path }: CommandNode): string {
  return path.map((word) => ` ${word}`).join('');
}

/** Words of every subcommand, joined as by {@link spelled}. */
export function subcommandPaths(root: CommandNode): string[] {
  return allCommands(root)
    .filter(({ path }) => path.length > 0)
    .map(spelled);
}

function optionNode(option: Option): OptionNode {
  const choices = option.argChoices ?? [];
  const [, placeholder = ''] = /[<[]([\w-]+)/.exec(option.flags) ?? [];
  const completed =
    choices.length > 0
      ? 'choices'
      : placeholder === 'folder'
        ? 'folders'
        : placeholder === 'file'
          ? 'files'
          : 'nothing';
  return {
    names: [option.short, option.long].filter((name) => name !== undefined),
    description: firstSentence(option.description),
    takesValue: option.required || option.optional,
    completed,
    choices,
  };
}

const LONGEST = 100;

/** Shortens a description to its first sentence, because shells show one line for each option. */
function firstSentence(text: string): string {
  const [sentence = ''] = text.replace(/\s+/g, ' ').split(/(?<=[.;:]) /);
  const short = sentence.replace(/[.;:]$/, '');
  return short.length <= LONGEST ? short : `${short.slice(0, LONGEST - 1)}…`;
}
