import { once } from 'node:events';
import type { Event } from '../../remote/client.ts';
import { UsageError } from '../../process/errors.ts';
import type { Service, ServiceOptions } from '../../remote/service.ts';
import { painterOf, paintState } from '../../screen/paint.ts';
import { cut, terminalSize } from '../../screen/table.ts';
import { printable } from '../../screen/text.ts';
import { untilInterrupted } from '../../watch/until-interrupted.ts';

export interface EventOptions extends ServiceOptions {
  readonly follow?: boolean;
  readonly since?: string;
  readonly rollout?: string;
  readonly job?: string;
  readonly type?: readonly string[];
  readonly limit?: number;
}

/** Prints events as they happen, until Ctrl-C or until `--limit` events are printed. */
export async function followAll({ client }: Service, options: EventOptions): Promise<void> {
  const { followEvents } = await import('../../remote/client.ts');
  await untilInterrupted('the service goes on', (signal) =>
    printAll(
      followEvents({
        client,
        signal,
        ...sourceOf(options),
        ...(options.since !== undefined && { after: options.since }),
      }),
      options,
    ),
  );
}

/** Prints past events. */
export async function listAll({ client }: Service, options: EventOptions): Promise<void> {
  const { items, listEvents, listJobEvents, listRolloutEvents } = await import('../../remote/client.ts');
  const { rolloutId, jobId } = sourceOf(options);
  const query = { limit: 200, ...(options.since !== undefined && { after: options.since }) };
  if (jobId !== undefined) return printAll(items(listJobEvents, { client, path: { id: jobId }, query }), options);
  if (rolloutId !== undefined)
    return printAll(items(listRolloutEvents, { client, path: { id: rolloutId }, query }), options);
  return printAll(items(listEvents, { client, query }), options);
}

function sourceOf({ rollout, job }: EventOptions): { rolloutId?: string; jobId?: string } {
  if (rollout !== undefined && job !== undefined)
    throw new UsageError('--rollout and --job exclude each other: give one of them');
  return { ...(rollout !== undefined && { rolloutId: rollout }), ...(job !== undefined && { jobId: job }) };
}

async function printAll(
  events: AsyncIterable<Event>,
  { json = false, type, limit = Infinity }: EventOptions,
): Promise<void> {
  let printed = 0;
  for await (const event of events) {
    if (!isWanted(event, type)) continue;
    if (!process.stdout.write(`${json ? JSON.stringify(event) : lineOf(event)}\n`)) await once(process.stdout, 'drain');
    if (++printed === limit) return;
  }
}

function isWanted({ type }: Event, wanted: readonly string[] | undefined): boolean {
  if (wanted === undefined) return true;
  return wanted.some((each) => (each.endsWith('*') ? type.startsWith(each.slice(0, -1)) : type === each));
}

/** Formats an event as one line: time, type, subject and data, cut to the width of the terminal. */
function lineOf({ occurred_at: time, type, subject_id: subject, data }: Event): string {
  const paint = painterOf(process.stdout);
  const details = Object.entries(data)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
  const line = printable(`${time.slice(0, 19)}Z  ${type.padEnd(26)}  ${subject}  ${details}`);
  const shown = process.stdout.isTTY === true ? cut(line, terminalSize(process.stdout).columns) : line;
  const [, state = ''] = type.split('.');
  return shown.replace(type, paintState(paint, state, type)).trimEnd();
}
