import { mkdir, open, readFile, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { ResultRecord } from './records.ts';

/** Raw results, in the order in which they were measured. */
export class Results {
  protected readonly lines: ResultRecord[];
  protected readonly last: Map<string, ResultRecord>;

  constructor(lines: ResultRecord[]) {
    this.lines = lines;
    this.last = new Map(lines.map((record) => [record.key, record]));
  }

  /**
   * Reads the whole lines of a file and changes nothing. An incomplete last line may still be being written. Without the file, there
   * are no results.
   * @throws Error naming the line that is not JSON
   */
  static async read(name: string): Promise<Results> {
    const bytes = await readFile(name).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return Buffer.alloc(0);
      throw error;
    });
    return new Results(wholeLines(bytes, name));
  }

  /** The records in the order of the file. Of several records with the same key, the last counts. */
  get records(): readonly ResultRecord[] {
    return [...this.last.values()];
  }

  /** All records in the order of the file, those that were replaced by a later one included. */
  get all(): readonly ResultRecord[] {
    return this.lines;
  }

  /** The last record of this key; undefined if there is none. */
  recordOf(key: string): ResultRecord | undefined {
    return this.last.get(key);
  }

  /** Whether a line of this key was written after the last one of the other key, or without one. */
  isAfter(key: string, other: string): boolean {
    const last = (one: string): number => this.lines.findLastIndex((record) => record.key === one);
    return last(key) > last(other);
  }

  /** Milliseconds that all records of these keys took, those that were replaced by a later one included. */
  timeOf(keys: ReadonlySet<string>): number {
    return this.lines.reduce((sum, { key, ms }) => (keys.has(key) ? sum + ms : sum), 0);
  }
}

/**
 * The file of raw results, one JSON document a line. Each line is appended whole and synced. An incomplete last line, which
 * a killed run may leave, is cut off when the file is opened again.
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
          `${name} line ${i + 1} is not JSON, so the file was changed by something else. Move it away to start anew`,
          {
            cause,
          },
        );
      }
    });
}
