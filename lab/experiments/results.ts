import { mkdir, open, readFile, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { ResultRecord } from './records.ts';

/** Raw results in the order in which they were measured. */
export class Results {
  protected readonly lines: ResultRecord[];
  protected readonly last: Map<string, ResultRecord>;

  constructor(lines: ResultRecord[]) {
    this.lines = lines;
    this.last = new Map(lines.map((record) => [record.key, record]));
  }

  /**
   * Reads the whole lines of a file without changing it. It skips an incomplete last line, which a run may be writing.
   * A missing file has no results.
   * @throws Error naming the line that is not JSON
   */
  static async read(name: string): Promise<Results> {
    const bytes = await readFile(name).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return Buffer.alloc(0);
      throw error;
    });
    return new Results(wholeLines(bytes, name));
  }

  /** Last record of each key. */
  get records(): readonly ResultRecord[] {
    return [...this.last.values()];
  }

  /** All records in the order of the file, including those that a later one replaces. */
  get all(): readonly ResultRecord[] {
    return this.lines;
  }

  /** Last record of this key, or undefined. */
  recordOf(key: string): ResultRecord | undefined {
    return this.last.get(key);
  }

  /** Whether the last record of `key` comes after the last one of `other`. A missing one counts as earlier. */
  isAfter(key: string, other: string): boolean {
    const last = (one: string): number => this.lines.findLastIndex((record) => record.key === one);
    return last(key) > last(other);
  }

  /** Total milliseconds of all records of these keys, including those that a later one replaces. */
  timeOf(keys: ReadonlySet<string>): number {
    return this.lines.reduce((sum, { key, ms }) => (keys.has(key) ? sum + ms : sum), 0);
  }
}

/**
 * File of raw results, one JSON document a line. Each line is appended whole and synced. Opening the file cuts off an
 * incomplete last line, which a killed run may leave.
 */
export class ResultsFile extends Results {
  readonly #file: FileHandle;

  private constructor(file: FileHandle, lines: ResultRecord[]) {
    super(lines);
    this.#file = file;
  }

  /** @throws Error naming the line that is not JSON */
  static async open(name: string): Promise<ResultsFile> {
    await mkdir(path.dirname(name), { recursive: true });
    const file = await open(name, 'a+');
    try {
      const bytes = await readFile(file);
      const lines = wholeLines(bytes, name);
      const whole = bytes.lastIndexOf(NEWLINE) + 1;
      if (whole < bytes.length) await file.truncate(whole);
      return new ResultsFile(file, lines);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async append(record: ResultRecord): Promise<void> {
    await this.#file.appendFile(`${JSON.stringify(record)}\n`);
    await this.#file.datasync();
    this.lines.push(record);
    this.last.set(record.key, record);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

const NEWLINE = 0x0a;

function wholeLines(bytes: Buffer, name: string): ResultRecord[] {
  return bytes
    .subarray(0, bytes.lastIndexOf(NEWLINE) + 1)
    .toString('utf8')
    .split('\n')
    .slice(0, -1)
    .map((line, i) => {
      try {
        return JSON.parse(line) as ResultRecord;
      } catch (cause) {
        throw new Error(
          `${name} line ${i + 1} is not JSON, so the file was changed by something else. ` +
            'Move it away to start anew',
          {
            cause,
          },
        );
      }
    });
}
