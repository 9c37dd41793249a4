import { chromium, type Browser } from 'playwright-core';
import { createClient, listJobs, type ReadaptClient } from '../../openapi/clients/typescript/src/index.ts';

const CHROMIUM = process.env.READAPT_CHROMIUM ?? '/usr/bin/chromium';

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
  readonly rounds: number;
}

/** Opens each page several times by its address, each time in a browser that has stored nothing. */
export async function measurePages({ url, key, rolloutId, rounds }: Measured): Promise<PageFigures[]> {
  const pages = await addresses(createClient({ baseUrl: url, apiKey: key }), rolloutId);
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
  try {
    // The first page of all starts processes of the browser and compiles the programs of the service.
    await open(browser, `${url}/#key=${key}`);
    const figures: PageFigures[] = [];
    for (const [name, path] of Object.entries(pages)) {
      const times: number[] = [];
      for (let round = 0; round < rounds; round++) times.push(await open(browser, `${url}${path}#key=${key}`));
      times.sort((a, b) => a - b);
      figures.push({ name, medianMs: times[Math.floor(rounds / 2)]!, slowestMs: times.at(-1)! });
    }
    return figures;
  } finally {
    await browser.close();
  }
}

async function addresses(client: ReadaptClient, rolloutId: string): Promise<Record<string, string>> {
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
    Workers: '/workers',
  };
}

/** Runs in the page, until the heading is there and no part of the page says any more that it is loading. */
const UNTIL_CONTENT = `new Promise((resolve) => {
  const look = () => {
    const main = document.querySelector('main');
    if (main?.querySelector('h1') && !main.querySelector('[aria-busy=true]')) resolve(performance.now());
    else requestAnimationFrame(look);
  };
  look();
})`;

/** @returns milliseconds from the beginning of the navigation until the page shows what it is about */
async function open(browser: Browser, address: string): Promise<number> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  try {
    const page = await context.newPage();
    await page.goto(address, { waitUntil: 'commit' });
    return await page.evaluate<number>(UNTIL_CONTENT);
  } finally {
    await context.close();
  }
}
