import { CodeIcon } from '@radix-ui/react-icons';
import { Box, Button, Dialog, Flex, Heading, IconButton } from '@radix-ui/themes';
import { Cross2Icon } from '@radix-ui/react-icons';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { client } from '../../api/client.ts';
import { Loaded } from '../feedback/loaded.tsx';
import { CopyButton } from '../values/copy-button.tsx';

/**
 * Dialog that shows the page's data as the API's JSON. `?as=json` in the address opens the dialog, so that a link to it
 * can be shared.
 */
export function AsJson({ paths }: { paths: readonly string[] }) {
  const { as } = useSearch({ from: '__root__' });
  const navigate = useNavigate();
  const show = (open: boolean) =>
    void navigate({ to: '.', search: (search) => ({ ...search, as: open ? 'json' : undefined }), replace: true });
  return (
    <Dialog.Root open={as === 'json'} onOpenChange={show}>
      <Dialog.Trigger>
        <Button variant="soft" color="gray">
          <CodeIcon aria-hidden />
          As JSON
        </Button>
      </Dialog.Trigger>
      <Dialog.Content maxWidth="900px" aria-describedby={undefined}>
        <Flex justify="between" align="start" gap="3">
          <Dialog.Title>This page as JSON</Dialog.Title>
          <Dialog.Close>
            <IconButton variant="ghost" color="gray" aria-label="Close">
              <Cross2Icon aria-hidden />
            </IconButton>
          </Dialog.Close>
        </Flex>
        <Flex direction="column" gap="4">
          {paths.map((path) => (
            <Answer key={path} path={path} />
          ))}
        </Flex>
      </Dialog.Content>
    </Dialog.Root>
  );
}

function Answer({ path }: { path: string }) {
  const query = useQuery({
    queryKey: ['as-json', path],
    queryFn: ({ signal }) =>
      client.get<{ 200: unknown }, unknown, true, 'data'>({
        url: path,
        signal,
        throwOnError: true,
        responseStyle: 'data',
        security: [{ scheme: 'bearer', type: 'http' }],
      }),
  });
  return (
    <section aria-label={`GET ${path}`}>
      <Loaded query={query} what={path}>
        {(answer) => {
          const text = JSON.stringify(answer, null, 2);
          return (
            <>
              <Flex align="center" gap="2" mb="1">
                <Heading as="h3" size="2" className="any-text">
                  GET {path}
                </Heading>
                <CopyButton text={text} what={`the answer to GET ${path}`} />
              </Flex>
              <Box asChild>
                <pre className="json" tabIndex={0}>
                  {text}
                </pre>
              </Box>
            </>
          );
        }}
      </Loaded>
    </section>
  );
}
