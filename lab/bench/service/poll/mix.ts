import { Random } from '../../../../core/statistics/random.ts';
import type { Client } from '../client.ts';
import type { PolledFleet } from './fleet.ts';

/** Percentage of requests of each kind. `unchanged` ones send the ETag of the last answer. */
const SHARES = {
  'rollout, unchanged': 24,
  rollout: 8,
  'page of jobs, unchanged': 12,
  'page of jobs': 6,
  'job, unchanged': 14,
  job: 8,
  'events after a position': 16,
  'page of adapters': 6,
  '/healthz': 6,
} as const;
export type Kind = keyof typeof SHARES;
export const KINDS = Object.keys(SHARES) as Kind[];
export const shareOf = (kind: Kind): number => SHARES[kind];

/** Client that polls: the operator, or a tenant. */
export interface Poller {
  client: Client;
  /** Ids of the jobs that it may see. */
  jobs: readonly string[];
  /** Position of the last event read. */
  position: string;
  etags: Map<string, string>;
}

export interface Poll {
  kind: Kind;
  poller: Poller;
  path: string;
}

interface Pollers {
  operator: Poller;
  tenants: readonly Poller[];
}

/** Number of jobs that one poller watches with ETags. */
const WATCHED = 20;

/** Draws polls in the given shares: half of them by the operator, the others by tenants in turn. */
export function drawPolls({ operator, tenants }: Pollers, { rolloutId }: PolledFleet): () => Poll {
  const random = Random.fromSeed(7);
  const kinds = KINDS.flatMap((kind) => Array.from({ length: SHARES[kind] }, () => kind));
  let drawn = 0;
  return () => {
    const poller = drawn++ % 2 === 0 ? operator : tenants[(drawn >> 1) % tenants.length]!;
    const kind = kinds[random.integer(kinds.length)]!;
    const { jobs } = poller;
    const watched = kind === 'job, unchanged' ? Math.min(WATCHED, jobs.length) : jobs.length;
    return { kind, poller, path: pathOf(kind, rolloutId, jobs[random.integer(watched)]!, poller.position) };
  };
}

function pathOf(kind: Kind, rolloutId: string, jobId: string, position: string): string {
  if (kind.startsWith('rollout')) return `/v1/rollouts/${rolloutId}`;
  if (kind.startsWith('page of jobs')) return `/v1/jobs?rollout_id=${rolloutId}`;
  if (kind.startsWith('job')) return `/v1/jobs/${jobId}`;
  if (kind.startsWith('events')) return `/v1/events?after=${position}`;
  return kind === '/healthz' ? kind : '/v1/adapters';
}

/** Sends a poll, and keeps the ETag or position for the next one. @returns the status, or 0 without an answer */
export const poll = (sent: Poll): Promise<number> => answerTo(sent).catch(() => 0);

async function answerTo({ kind, poller, path }: Poll): Promise<number> {
  const known = kind.endsWith('unchanged') ? poller.etags.get(path) : undefined;
  const headers: Record<string, string> = known === undefined ? {} : { 'if-none-match': known };
  const { status, etag, body } = await poller.client.request(path, { headers });
  if (etag !== null) poller.etags.set(path, etag);
  if (kind.startsWith('events') && status === 200) {
    poller.position = (JSON.parse(body) as { next_after: string }).next_after;
  }
  return status;
}
