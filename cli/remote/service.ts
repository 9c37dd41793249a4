import type { Command } from 'commander';
import type { ReadaptClient } from './client.ts';
import { addJsonOption, type JsonOption } from '../options/common-options.ts';
import { explain } from './explain.ts';
import { findServiceTarget, type ServiceTarget } from './profiles/target.ts';

/** Options of every command that asks a running service. */
export interface ServiceOptions extends JsonOption {
  readonly profile?: string;
}

/** Client of the running service that a command asks, with its address and key. */
export interface Service {
  readonly client: ReadaptClient;
  readonly target: ServiceTarget;
}

/** Adds `--json` and `--profile`, and examples below the help. */
export function addServiceOptions(command: Command, examples: readonly string[]): Command {
  return addJsonOption(command)
    .option('--profile <name>', 'Profile to use, in place of READAPT_URL, READAPT_API_KEY and the current profile.')
    .addHelpText('after', `\nExamples:\n${examples.map((line) => `  ${line}`).join('\n')}`);
}

/**
 * Longest time to retry a request while the service is busy or cannot be reached, in milliseconds. Somebody who has
 * mistyped an address at a terminal waits about this long for the error.
 */
const RETRY_MS = 5000;
/**
 * Longest time to retry a request in a command that runs for long, in milliseconds, so that the service may restart
 * meanwhile.
 */
const FOLLOWING_RETRY_MS = 300_000;

/**
 * Calls `use` with a client of the service that the options and the environment name.
 * @param following whether the command runs for long, so that requests are retried for longer
 * @throws ServiceError if the service refuses or is not reached; UsageError
 */
export async function withService<T>(
  options: ServiceOptions,
  use: (service: Service) => Promise<T>,
  { following = false } = {},
): Promise<T> {
  const target = await findServiceTarget(options.profile);
  return use({ client: await connectToService(target, following ? FOLLOWING_RETRY_MS : RETRY_MS), target }).catch(
    async (error: unknown) => {
      throw await explain(error, target);
    },
  );
}

/** Makes the client of a service. */
export async function connectToService(
  { url, key }: Pick<ServiceTarget, 'url' | 'key'>,
  retryMs = RETRY_MS,
): Promise<ReadaptClient> {
  const { createClient } = await import('./client.ts');
  return createClient({ baseUrl: url, apiKey: key, retries: { maxElapsedMs: retryMs } });
}
