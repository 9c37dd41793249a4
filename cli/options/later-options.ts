import type { Command } from 'commander';

type AddOptions = () => Promise<void>;

/** What adds the options of commands that are slow to make. */
const LATER = new WeakMap<Command, AddOptions>();

/**
 * Adds a subcommand's options when it is chosen. The tables of gates and job options load TypeBox, which would take most of the start of
 * every other command.
 */
export function addOptionsLater(parent: Command, command: Command, add: AddOptions): void {
  const addOnce = once(add);
  LATER.set(command, addOnce);
  parent.hook('preSubcommand', async (_parent, chosen) => {
    if (chosen === command) await addOnce();
  });
}

/** Adds the options that a command and those below it would have if they were chosen. */
export async function addAllOptions(command: Command): Promise<void> {
  await LATER.get(command)?.();
  for (const child of command.commands) await addAllOptions(child);
}

function once(add: AddOptions): AddOptions {
  let added: Promise<void> | null = null;
  return () => (added ??= add());
}
