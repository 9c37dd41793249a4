import { useNavigate } from '@tanstack/react-router';

/**
 * Changes a part of what the address says behind `?`, without a new entry in the history and without scrolling. The type is that of the
 * route on whose page it is used.
 */
export function useChangeOfSearch<Search extends object>(): (part: Partial<Search>) => void {
  const navigate = useNavigate();
  return (part) =>
    void navigate({
      to: '.',
      // The router asks here for what fits the addresses of all pages at once.
      search: ((before: object) => ({ ...before, ...part })) as never,
      replace: true,
      resetScroll: false,
    });
}
