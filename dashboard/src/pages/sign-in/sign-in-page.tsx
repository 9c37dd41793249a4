import { Box, Button, Callout, Card, Flex, Heading, Text, TextField } from '@radix-ui/themes';
import { useMutation } from '@tanstack/react-query';
import { whoami } from '@readapt/client';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect, useId, useState, type FormEvent } from 'react';
import { clientWith } from '../../api/client.ts';
import { beginSession, useSession } from '../../api/session.ts';
import { queryClient } from '../../api/query-client.ts';
import { ProblemCallout } from '../../parts/feedback/problem-callout.tsx';
import { Logo } from '../../parts/shell/logo.tsx';
import { viewerQuery } from '../../api/viewer.ts';

/** Sign-in page. It checks an API key with the service before the session starts. */
export default function SignInPage() {
  const { next } = useSearch({ from: '/sign-in' });
  const { ended } = useSession();
  const navigate = useNavigate();
  const [key, setKey] = useState('');
  const signIn = useMutation({
    mutationFn: (tried: string) => whoami({ client: clientWith(tried) }),
    onSuccess: (who, tried) => {
      queryClient.clear();
      queryClient.setQueryData(viewerQuery.queryKey, who);
      beginSession(tried);
      void navigate({ href: next ?? '/', replace: true });
    },
  });
  useEffect(() => {
    document.title = 'Sign in · Readapt';
  }, []);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (key.trim() !== '') signIn.mutate(key.trim());
  };
  return (
    <Flex asChild align="center" justify="center" minHeight="100vh" p="4">
      <main>
        <Card size="3" className="sign-in">
          <Flex direction="column" gap="4">
            <Logo />
            <Heading as="h1" size="5">
              Sign in
            </Heading>
            {ended === 'refused' && signIn.isIdle && (
              <Callout.Root color="amber" role="alert" highContrast>
                <Callout.Text>
                  The service no longer takes the key: it has expired or was revoked. Enter another one.
                </Callout.Text>
              </Callout.Root>
            )}
            <form onSubmit={submit}>
              <KeyField value={key} change={setKey} />
              <Box mt="4">
                <Button type="submit" loading={signIn.isPending} disabled={key.trim() === ''}>
                  Sign in
                </Button>
              </Box>
            </form>
            {signIn.error !== null && <ProblemCallout error={signIn.error} />}
          </Flex>
        </Card>
      </main>
    </Flex>
  );
}

function KeyField({ value, change }: { value: string; change: (key: string) => void }) {
  const id = useId();
  return (
    <>
      <Text as="label" htmlFor={id} size="2" weight="medium">
        API key
      </Text>
      <TextField.Root
        id={id}
        type="password"
        autoComplete="off"
        spellCheck={false}
        placeholder="rdp_…"
        value={value}
        onChange={(event) => change(event.target.value)}
        aria-describedby={`${id}-help`}
        mt="1"
      />
      <Text as="p" id={`${id}-help`} size="2" color="gray" mt="2">
        An operator sees the whole fleet, a tenant what belongs to it; a key with <code>operator:read</code> suits a
        screen on a wall. The key stays in this tab until it is closed or you sign out.
      </Text>
    </>
  );
}
