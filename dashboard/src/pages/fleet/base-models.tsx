import { Button, Code, Text } from '@radix-ui/themes';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useViewer } from '../../api/viewer.ts';
import { Empty, Loaded } from '../../parts/feedback/loaded.tsx';
import { Section } from '../../parts/layout/section.tsx';
import { baseModelsQuery } from './fleet-queries.ts';
import { Lineage } from './lineage.tsx';

/** Base models with their versions and each version's share of the fleet. */
export function BaseModels() {
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(baseModelsQuery);
  const models = data?.pages.flatMap((page) => page.data);
  return (
    <Section title="Base models">
      <Loaded query={{ data: models, error, refetch }} what="the base models">
        {(all) => (
          <>
            {all.length === 0 && <NoBaseModel />}
            {all.map(({ id, name }) => (
              <Lineage key={id} id={id} name={name} />
            ))}
            {hasNextPage && (
              <Button variant="soft" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
                Show more base models
              </Button>
            )}
          </>
        )}
      </Loaded>
    </Section>
  );
}

function NoBaseModel() {
  const { operates } = useViewer();
  return (
    <Empty title="No base model is registered yet.">
      {operates && (
        <Text as="p" size="2">
          Register one with <Code>POST /v1/base-models</Code>, its first version with{' '}
          <Code>POST /v1/base-models/NAME/versions</Code>, and tenants can import their adapters.
        </Text>
      )}
    </Empty>
  );
}
