import { vi } from 'vitest';

/** Sets the clock of this process ahead, until the spy is restored. The database keeps its own. */
export function clockAhead(ms: number) {
  const now = Date.now.bind(Date);
  return vi.spyOn(Date, 'now').mockImplementation(() => now() + ms);
}
