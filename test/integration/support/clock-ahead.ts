import { vi } from 'vitest';

/** Sets this process's clock ahead until the spy is restored. The database keeps its own clock. */
export function clockAhead(ms: number) {
  const now = Date.now.bind(Date);
  return vi.spyOn(Date, 'now').mockImplementation(() => now() + ms);
}
