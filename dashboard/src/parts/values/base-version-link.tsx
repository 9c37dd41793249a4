import { Code } from '@radix-ui/themes';
import { getBaseModelVersion } from '@readapt/client';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { client } from '../../api/client.ts';

/** Link to a base model version. Its name is queried, and then cached for a minute. */
export function BaseVersionLink({ id }: { id: string }) {
  const { data } = useQuery({
    queryKey: ['base-model-versions', id],
    queryFn: ({ signal }) => getBaseModelVersion({ client, path: { id }, signal }),
    staleTime: 60_000,
  });
  return (
    <Link to="/base-model-versions/$versionId" params={{ versionId: id }} className="plain-link">
      {data === undefined ? <Code variant="ghost">{id}</Code> : `${data.base_model_name} ${data.version}`}
    </Link>
  );
}
