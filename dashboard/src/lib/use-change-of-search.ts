import { useNavigate } from '@tanstack/react-router';

/**
 * Changes some search parameters of the current address, without a new history entry and without scrolling. `Search` is
 * the search type of the page's route.
 */
export function useChangeOfSearch<Search extends object>(): (part: Partial<Search>) => void {
  const navigate = useNavigate();
  return (part) =>
    void navigate({
      to: '.',
      // Without a fixed route, the router's type here is the intersection of all routes' search types.
      search: ((before: object) => ({ ...before, ...part })) as never,
      replace: true,
      resetScroll: false,
    });
}
