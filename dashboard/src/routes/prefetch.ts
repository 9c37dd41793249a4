/**
 * Prefetches the data of a page while its code and the viewer are still loading. No page waits for a prefetch: the page
 * makes the same queries and finds the answers in the cache. Hovering over a link prefetches no data, because a table
 * may have thousands of links.
 */
import { queryClient } from '../api/query-client.ts';
import { tenantNamesQuery } from '../api/tenant-names.ts';
import { prefetchList } from '../api/use-endless.ts';
import { viewerQuery } from '../api/viewer.ts';
import type { JobsSearch } from './search.ts';
import { adapterQuery, versionsOfAdapter } from '../pages/adapter/adapter-queries.ts';
import { allAdapters } from '../pages/adapters/adapters-queries.ts';
import {
  chosenOf,
  evolutionQuery,
  evolutionsQuery,
  versionQuery,
} from '../pages/base-model-version/base-model-version-queries.ts';
import { attentionQuery, baseModelsQuery, endedQuery, fleetQuery, runningQuery } from '../pages/fleet/fleet-queries.ts';
import { pointsQuery } from '../pages/job/curves/points-query.ts';
import { eventsQuery, jobQuery, ladderQuery, unloadedJob } from '../pages/job/job-queries.ts';
import { searchQuery } from '../pages/job/search/search-queries.ts';
import { allJobs } from '../pages/jobs/jobs-queries.ts';
import { modelsQuery } from '../pages/new-rollout/form/models-query.ts';
import {
  jobsOfRollout,
  reportQuery,
  rolloutQuery,
  ttrQuery,
  unloadedRollout,
} from '../pages/rollout/rollout-queries.ts';
import { allRollouts } from '../pages/rollouts/rollouts-queries.ts';
import { ALL_WORKERS } from '../pages/workers/workers-queries.ts';
import type { AdaptersSearch } from './search.ts';
import type { RolloutSearch, RolloutsSearch } from './search.ts';

const begin: typeof queryClient.prefetchQuery = (query) => queryClient.prefetchQuery(query);

export function prefetchFleet(): void {
  void begin(attentionQuery);
  void begin(runningQuery);
  void begin(endedQuery);
  void queryClient
    .fetchInfiniteQuery(baseModelsQuery)
    .then(({ pages }) => pages[0]?.data.forEach(({ id }) => void begin(fleetQuery(id))))
    .catch(shownByThePage);
}

export function prefetchRollouts(search: RolloutsSearch): void {
  void prefetchList(queryClient, allRollouts(search));
}

export function prefetchNewRollout(): void {
  void begin(modelsQuery);
}

export function prefetchRollout(id: string, search: RolloutSearch): void {
  void begin(rolloutQuery(id));
  void begin(ttrQuery(unloadedRollout(id)));
  void prefetchList(queryClient, jobsOfRollout(unloadedRollout(id), search));
  void begin(reportQuery(unloadedRollout(id)));
  prefetchTenantNames();
}

export function prefetchJobs(search: JobsSearch): void {
  void prefetchList(queryClient, allJobs(search));
  prefetchTenantNames();
}

export function prefetchJob(id: string): void {
  const job = unloadedJob(id);
  void begin(jobQuery(id));
  void begin(ladderQuery(job));
  void begin(eventsQuery(job));
  void begin(searchQuery(job));
  void begin(pointsQuery(queryClient, job, null));
}

export function prefetchAdapters(search: AdaptersSearch): void {
  void prefetchList(queryClient, allAdapters(search));
  prefetchTenantNames();
}

export function prefetchAdapter(id: string): void {
  void begin(adapterQuery(id));
  void prefetchList(queryClient, versionsOfAdapter(id));
}

export function prefetchBaseModelVersion(id: string, from: string | undefined): void {
  void begin(versionQuery(id));
  void queryClient
    .fetchQuery(evolutionsQuery(id))
    .then(({ data }) => {
      const chosen = chosenOf(data, from);
      if (chosen !== undefined) void begin(evolutionQuery(chosen));
    })
    .catch(shownByThePage);
}

/** Prefetches the workers, which only an operator may read. */
export function prefetchWorkers(): void {
  forOperator(() => void prefetchList(queryClient, ALL_WORKERS));
}

function prefetchTenantNames(): void {
  forOperator(() => void begin(tenantNamesQuery));
}

function forOperator(read: () => void): void {
  void queryClient
    .ensureQueryData(viewerQuery)
    .then(({ is_operator: isOperator }) => isOperator && read())
    .catch(shownByThePage);
}

/** Ignores a failed prefetch: the page repeats the query and shows the error. */
function shownByThePage(): void {}
