import type { Browser } from 'playwright-core';
import { createClient, listJobs, type ReadaptClient } from '../../../openapi/clients/typescript/src/index.ts';
import { openPage, type Opened } from './open-page.ts';

export interface PageFigures {
  readonly name: string;
  readonly medianMs: number;
  readonly slowestMs: number;
}

interface Measured {
  readonly url: string;
  /** An operator's key. */
  readonly key: string;
  readonly rolloutId: string;
  /** Base version that the rollout moves to. Its evolution is stored. */
  readonly versionId: string;
}

/** Opens each page several times by its address, each time in a browser with an empty cache. */
export async function measurePages(browser: Browser, pages: readonly Opened[], rounds: number): Promise<PageFigures[]> {
  // The first page is opened once unmeasured: it starts processes of the browser and warms up the service.
  await timeOf(browser, pages[0]!);
  const figures: PageFigures[] = [];
  for (const page of pages) {
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) times.push(await timeOf(browser, page));
    times.sort((a, b) => a - b);
    figures.push({ name: page.name, medianMs: times[Math.floor(rounds / 2)]!, slowestMs: times.at(-1)! });
  }
  return figures;
}

async function timeOf(browser: Browser, opened: Opened): Promise<number> {
  const { ms, close } = await openPage(browser, opened);
  await close();
  return ms;
}

export async function pagesOf({ url, key, rolloutId, versionId }: Measured): Promise<Opened[]> {
  const paths = await pathsOf(createClient({ baseUrl: url, apiKey: key }), rolloutId, versionId);
  return Object.entries(paths).map(([name, path]) => ({ name, address: `${url}${path}#key=${key}` }));
}

async function pathsOf(client: ReadaptClient, rolloutId: string, versionId: string): Promise<Record<string, string>> {
  const { data } = await listJobs({ client, query: { rollout_id: rolloutId, state: ['ready'], limit: 1 } });
  const [job] = data;
  if (job === undefined) throw new Error(`rollout ${rolloutId} has no job that is ready`);
  return {
    Fleet: '/',
    Rollouts: '/rollouts',
    'New rollout': '/rollouts/new',
    Rollout: `/rollouts/${rolloutId}`,
    Jobs: '/jobs',
    Job: `/jobs/${job.id}`,
    Adapters: '/adapters',
    Adapter: `/adapters/${job.adapter_id}`,
    Evolution: `/base-model-versions/${versionId}`,
    Workers: '/workers',
  };
}
