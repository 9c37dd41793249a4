import { allCommands, spelled, subcommandPaths, type CommandNode, type OptionNode } from './command-tree.ts';

/** Builds a script for fish, to be sourced or saved as `~/.config/fish/completions/readapt.fish`. */
export function fishCompletion(root: CommandNode): string {
  const nodes = allCommands(root);
  return `# Completion of readapt for fish: readapt completion fish | source
function __readapt_at
    set -l at ''
    for word in (commandline -opc)[2..]
        switch "$at $word"
            case ${subcommandPaths(root).map(quote).join(' ')}
                set at "$at $word"
        end
    end
    test "$at" = "$argv[1]"
end
complete -c readapt -e
${nodes.flatMap(linesOf).join('\n')}
`;
}

function linesOf(node: CommandNode): string[] {
  const begin = `complete -c readapt -n ${quote(`__readapt_at ${quote(spelled(node))}`)}`;
  const words = [
    ...node.children.map(({ name, description }) => `${begin} -f -a ${quote(name)} -d ${quote(description)}`),
    ...(node.choices.length > 0 ? [`${begin} -f -a ${quote(node.choices.join(' '))}`] : []),
    ...(node.takesFiles || node.children.length + node.choices.length > 0 ? [] : [`${begin} -f`]),
  ];
  return [...words, ...node.options.map((option) => `${begin} ${optionPart(option)}`)];
}

function optionPart({ names, description, takesValue, completed, choices }: OptionNode): string {
  const flags = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`)).join(' ');
  const value = {
    nothing: takesValue ? '-x' : '',
    choices: `-x -a ${quote(choices.join(' '))}`,
    files: '-r -F',
    folders: `-x -a ${quote('(__fish_complete_directories)')}`,
  }[completed];
  return [flags, value, `-d ${quote(description)}`].filter((part) => part !== '').join(' ');
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
