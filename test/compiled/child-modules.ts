// Setup file of projects whose tests start processes and threads of the product: they run compiled modules
// (`./compile.ts`).
import { vi } from 'vitest';
import { compiledModule } from './index.ts';

vi.mock(import('../../core/installation/child-module.ts'), async (original) => {
  const { modulePath, forkModule, startThread } = await original();
  return {
    modulePath,
    forkModule: (file, ...rest) => forkModule(compiledModule(file), ...rest),
    startThread: (file, ...rest) => startThread(compiledModule(file), ...rest),
  };
});
