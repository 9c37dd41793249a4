import type { Command } from 'commander';
import type { ReadaptClient } from './client.ts';
import { addJsonOption, type JsonOption } from '../options/common-options.ts';
import { explain } from './explain.ts';
import { findTarget, type Target } from './profiles/target.ts';

/** The options of every command that asks a running service. */
export interface ServiceOptions extends JsonOption {
  readonly profile?: string;
}

/** A running service, as a command asks it. */
export interface Service {
  readonly client: ReadaptClient;
  readonly target: Target;
}

/** Adds `--json` and `--profile`, and examples below the help. */
export function addServiceOptions(command: Command, examples: readonly string[]): Command {
  return addJsonOption(command)
    .option('--profile <name>', 'Profile to use, in place of READAPT_URL, READAPT_API_KEY and the current profile.')
    .addHelpText('after', `\nExamples:\n${examples.map((line) => `  ${line}`).join('\n')}`);
}

/** For how long a request is repeated that finds no service or a busy one: as long as somebody at a terminal waits for a mistyped address. */
const PATIENCE_MS = 5000;
/** While something is followed, the service may be started anew. */
const FOLLOWING_PATIENCE_MS = 300_000;

/**
 * Gives `use` the service that the options and the environment name.
 * @param following whether the command goes on for long
 * @throws ServiceError where the service refuses or is not reached; UsageError
 */
export async function withService<T>(
  options: ServiceOptions,
  use: (service: Service) => Promise<T>,
  { following = false } = {},
): Promise<T> {
  const target = await findTarget(options.profile);
  return use({ client: await connect(target, following ? FOLLOWING_PATIENCE_MS : PATIENCE_MS), target }).catch(
    async (error: unknown) => {
      throw await explain(error, target);
    },
  );
}

/** Makes the client of a service. */
export async function connect(
  { url, key }: Pick<Target, 'url' | 'key'>,
  patienceMs = PATIENCE_MS,
): Promise<ReadaptClient> {
  const { createClient } = await import('./client.ts');
  return createClient({ baseUrl: url, apiKey: key, retries: { maxElapsedMs: patienceMs } });
}
