import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The example models, datasets and adapters that come with the checkout. */
export const FAMILY = fileURLToPath(new URL('../../examples/demo-family', import.meta.url));

export interface DemoAdapter {
  readonly tenant: string;
  readonly adapter: string;
  /** Folder below `data/` with train, validation and test rows. */
  readonly task: string;
  /** PEFT folder below `adapters/`, trained on version 1 with `readapt train`. */
  readonly folder: string;
  readonly metric: 'accuracy' | 'exact_match';
  /** Training rows the tenant shares: fleets are not uniform. */
  readonly trainRows: number;
  /** How far below its old level the adapter may end and still be ready. */
  readonly margin: number;
}

/** Three tenants, six adapters; the same task comes with much and with little data. */
export const FLEET: readonly DemoAdapter[] = [
  { tenant: 'acme', adapter: 'review-sentiment', task: 'sst2', folder: 'sst2', metric: 'accuracy', trainRows: 2000, margin: 0.02 },
  { tenant: 'acme', adapter: 'news-topics', task: 'agnews', folder: 'agnews', metric: 'accuracy', trainRows: 2000, margin: 0.02 },
  { tenant: 'globex', adapter: 'ticket-sentiment', task: 'sst2', folder: 'sst2-small', metric: 'accuracy', trainRows: 500, margin: 0.02 },
  { tenant: 'globex', adapter: 'feed-topics', task: 'agnews', folder: 'agnews-small', metric: 'accuracy', trainRows: 500, margin: 0.02 },
  { tenant: 'initech', adapter: 'plural-forms', task: 'plural', folder: 'plural', metric: 'exact_match', trainRows: 1000, margin: 0.02 },
  { tenant: 'initech', adapter: 'past-tense', task: 'past', folder: 'past', metric: 'exact_match', trainRows: 1000, margin: 0.02 },
];

export const familyPath = (...parts: string[]): string => path.join(FAMILY, ...parts);
