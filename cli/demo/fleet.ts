import path from 'node:path';
import { packagePath } from '../../core/installation/package-path.ts';
import type { GateRule } from '../../core/options/gates.ts';

/** Folder with the example models, datasets and adapters that come with the package. */
export const FAMILY = packagePath('examples/demo-family');

export interface DemoAdapter {
  readonly tenant: string;
  readonly adapter: string;
  /** Name of the folder below `data/` that holds the rows of the adapter's task. */
  readonly task: string;
  /** Name of the adapter's PEFT folder below `adapters/`. The adapter was trained on version 1 with `readapt train`. */
  readonly folder: string;
  readonly metric: 'accuracy' | 'exact_match';
  /** Number of training rows that the tenant provides. */
  readonly trainRows: number;
  /** Number of rows of each other split (default: all rows of the task). */
  readonly heldOutRows?: number;
  /** Gate that the adapter has to pass on the new base. */
  readonly gate: GateRule;
  /** Whether the rows are grouped into slices, one for each expected completion. */
  readonly sliced: boolean;
}

/**
 * Gate of the demo's adapters. By the table in docs/method/gate.md, 400 gate rows usually certify an equally good
 * version within five points, even if 8 of 100 rows flip. These small adapters flip more rows, so some versions are
 * only inconclusive. The demo publishes them; otherwise their jobs would search long for a certificate that the rows
 * cannot give.
 */
const GATE: GateRule = { kind: 'relative', margin: 0.05, on_inconclusive: 'publish' };

/**
 * Gate of a tenant whose adapter must not get much worse on technology news. That slice has about 100 gate rows and a
 * wider margin than the whole.
 */
const SLICED: GateRule = { ...GATE, slices: [{ name: 'technology', margin: 0.1 }] };

/** Six adapters of three tenants. Some tasks occur twice, with much and with little data; one is a chat. */
export const FLEET: readonly DemoAdapter[] = [
  adapter('acme', 'review-sentiment', 'sst2', 'sst2', 2000),
  { ...adapter('acme', 'news-topics', 'agnews', 'agnews', 2000), gate: SLICED, sliced: true },
  adapter('globex', 'feed-topics', 'agnews', 'agnews-small', 500),
  adapter('globex', 'catalogue-plurals', 'plural', 'plural-small', 500),
  adapter('initech', 'plural-forms', 'plural', 'plural', 1500),
  adapter('initech', 'past-tense-chat', 'past-chat', 'past-chat', 1500),
];

// oxlint-disable-next-line max-params -- a table is easiest to read as rows
function adapter(tenant: string, name: string, task: string, folder: string, trainRows: number): DemoAdapter {
  const metric = task === 'sst2' || task === 'agnews' ? 'accuracy' : 'exact_match';
  return { tenant, adapter: name, task, folder, metric, trainRows, gate: GATE, sliced: false };
}

export const familyPath = (...parts: string[]): string => path.join(FAMILY, ...parts);
