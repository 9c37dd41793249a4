import { note, printTable } from '../screen/print.ts';
import type { Column } from '../screen/table.ts';
import { collect, type LimitOptions } from './collect.ts';
import { withService, type Service, type ServiceOptions } from './service.ts';

interface List<T> {
  /** Requests the list from the service, in pages of at most `limit` entries. */
  read(service: Service, limit: number): AsyncIterable<T> | Promise<AsyncIterable<T>>;
  readonly columns: readonly Column<T>[];
  /** Text that is printed for people if the list is empty. */
  readonly empty: string;
}

/** Reads a list of the service up to `--limit`, and prints it as a table or, with `--json`, as a document. */
export async function printList<T>(
  options: ServiceOptions & LimitOptions,
  { read, columns, empty }: List<T>,
): Promise<void> {
  const found = await withService(options, (service) => collect(options, (limit) => read(service, limit)));
  printTable(options, { document: found, rows: found.data, columns, empty });
  if (found.has_more) note(`these are the first ${found.data.length}; --limit 0 prints all`);
}
