import { expect, test } from 'vitest';
import { appended, flattened, pagesOf, replaced, type ListPage } from '../../../dashboard/src/api/list-pages.ts';

const id = (row: string) => row;

function page(cursor: string | undefined, rows: string, next: string | null): ListPage<string> {
  return { cursor, rows: rows.split(''), next, readAt: 1 };
}

const PAGES = [page(undefined, 'abc', 'c'), page('c', 'def', 'f'), page('f', 'ghi', null)];

test('the pages of rows are found by their lengths', () => {
  expect(pagesOf(PAGES, { first: 0, last: 2 })).toEqual({ first: 0, last: 0 });
  expect(pagesOf(PAGES, { first: 2, last: 6 })).toEqual({ first: 0, last: 2 });
  expect(pagesOf(PAGES, { first: 40, last: 60 })).toEqual({ first: 2, last: 2 });
  expect(pagesOf([], { first: 0, last: 9 })).toEqual({ first: 0, last: 0 });
});

test('a page that is read again takes the place of the one that was there', () => {
  const next = replaced(PAGES, 1, [page('c', 'dEf', 'f')]);
  expect(flattened(next, id).join('')).toBe('abcdEfghi');
  expect(next[2]).toBe(PAGES[2]);
});

test('where a page ends elsewhere than before, the next one begins there, and is read again when it is seen', () => {
  const longer = replaced(PAGES, 0, [page(undefined, 'bcd', 'd')]);
  expect(longer[1]).toMatchObject({ cursor: 'd', readAt: 0 });
  expect(flattened(longer, id).join('')).toBe('bcdefghi');
  expect(flattened(replaced(longer, 1, [page('d', 'efg', 'g')]), id).join('')).toBe('bcdefghi');
});

test('what followed a page that is the last one now has gone', () => {
  expect(flattened(replaced(PAGES, 1, [page('c', 'de', null)]), id).join('')).toBe('abcde');
});

test('further pages are put behind the one that they were asked for after', () => {
  const [first, ...others] = PAGES;
  expect(appended([first!], others)).toEqual(PAGES);
  expect(appended([page(undefined, 'bcd', 'd')], others)).toEqual([page(undefined, 'bcd', 'd')]);
  expect(appended(PAGES, [])).toBe(PAGES);
});
