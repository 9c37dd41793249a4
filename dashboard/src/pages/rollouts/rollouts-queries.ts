import { listRollouts, type Rollout } from '@readapt/client';
import { client } from '../../api/client.ts';
import type { EndlessList } from '../../api/use-endless.ts';
import type { RolloutsSearch } from '../../routes/search.ts';

export function allRollouts({ state, base_model: baseModel, sort }: RolloutsSearch): EndlessList<Rollout> {
  return {
    queryKey: ['rollouts', 'list', state, baseModel, sort],
    every: 3000,
    rowId: ({ id }) => id,
    read: ({ cursor, limit, signal }) =>
      listRollouts({ client, query: { state, base_model: baseModel, sort, cursor, limit }, signal }),
  };
}
