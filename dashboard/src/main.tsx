import { Theme } from '@radix-ui/themes';
import '@radix-ui/themes/tokens/base.css';
import '@radix-ui/themes/tokens/colors/amber.css';
import '@radix-ui/themes/tokens/colors/blue.css';
import '@radix-ui/themes/tokens/colors/gray.css';
import '@radix-ui/themes/tokens/colors/green.css';
import '@radix-ui/themes/tokens/colors/indigo.css';
import '@radix-ui/themes/tokens/colors/red.css';
import '@radix-ui/themes/tokens/colors/slate.css';
import '@radix-ui/themes/components.css';
import '@radix-ui/themes/utilities.css';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { setNonce } from 'get-nonce';
import { StrictMode, useEffect } from 'react';
import { createRoot } from 'react-dom/client';
import { queryClient } from './api/query-client.ts';
import { takeKeyFromAddress, useSession } from './api/session.ts';
import { useAppearance } from './parts/shell/preferences.ts';
import { router } from './router.ts';
import './styles.css';
import './rollouts.css';

// Dialogs insert a style element, which the content security policy allows only with this page's nonce.
setNonce(document.querySelector<HTMLMetaElement>('meta[name=csp-nonce]')?.content ?? '');
takeKeyFromAddress();

function App() {
  const appearance = useAppearance();
  const { key } = useSession();
  // At sign-out the cache is cleared, so that nothing read with the key stays on the screen.
  useEffect(() => {
    if (key === null) queryClient.clear();
    void router.invalidate();
  }, [key]);
  return (
    <Theme appearance={appearance} accentColor="indigo" grayColor="slate" radius="medium">
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </Theme>
  );
}

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
