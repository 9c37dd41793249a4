import type { Command } from 'commander';

type AddOptions = () => Promise<void>;

/** Functions that add the options of a command only when the command is chosen. */
const LATER = new WeakMap<Command, AddOptions>();

/**
 * Adds a subcommand's options only when the subcommand is chosen. The tables of gate and job options load TypeBox,
 * which would take most of the start-up time of every other command.
 */
export function addOptionsLater(parent: Command, command: Command, add: AddOptions): void {
  const addOnce = once(add);
  LATER.set(command, addOnce);
  parent.hook('preSubcommand', async (_parent, chosen) => {
    if (chosen === command) await addOnce();
  });
}

/** Adds the deferred options of a command and of all commands below it. */
export async function addAllOptions(command: Command): Promise<void> {
  await LATER.get(command)?.();
  for (const child of command.commands) await addAllOptions(child);
}

function once(add: AddOptions): AddOptions {
  let added: Promise<void> | null = null;
  return () => (added ??= add());
}
