import { FormatError } from '../../errors.ts';
import { isObject, type JsonObject } from '../../json.ts';

/**
 * Typed access to the fields of config.json. Every method that reads a value throws a FormatError `invalid_config` that
 * names the file, the field, the value found and the value expected. A field that is null counts as absent.
 */
export class Fields {
  readonly #json: JsonObject;
  readonly #file: string;
  readonly #prefix: string;

  /** @param prefix path of a section for messages, for example `rope_scaling.` */
  constructor(json: JsonObject, file: string, prefix = '') {
    this.#json = json;
    this.#file = file;
    this.#prefix = prefix;
  }

  /** Returns a field's value as it is in the file, without checking it. */
  raw(name: string): unknown {
    return this.#json[name];
  }

  has(name: string): boolean {
    return this.#json[name] !== undefined && this.#json[name] !== null;
  }

  text(name: string, fallback?: string): string {
    return this.#read(name, 'a string', (value) => typeof value === 'string', fallback);
  }

  flag(name: string, fallback: boolean): boolean {
    return this.#read(name, 'true or false', (value) => typeof value === 'boolean', fallback);
  }

  count(name: string, fallback?: number): number {
    return this.#read(
      name,
      'a positive integer',
      (value) => Number.isSafeInteger(value) && Number(value) > 0,
      fallback,
    );
  }

  positive(name: string, fallback?: number): number {
    return this.#read(name, 'a positive number', (value) => Number.isFinite(value) && Number(value) > 0, fallback);
  }

  /** Reads a positive number; null if the field is absent. */
  optionalPositive(name: string): number | null {
    return this.has(name) ? this.positive(name) : null;
  }

  /** Reads a list of exactly `length` positive numbers. */
  numbers(name: string, length: number): number[] {
    const accepts = (value: unknown) =>
      Array.isArray(value) &&
      value.length === length &&
      value.every((each) => Number.isFinite(each) && Number(each) > 0);
    return this.#read(name, `${length} positive numbers`, accepts);
  }

  /** Reads a single token id or a list of them; empty if the field is absent. */
  tokenIds(name: string): number[] {
    if (!this.has(name)) return [];
    const value = this.raw(name);
    const ids: unknown[] = Array.isArray(value) ? value : [value];
    if (!ids.every((id) => Number.isSafeInteger(id) && Number(id) >= 0)) throw this.#mistyped(name, 'token ids');
    return ids as number[];
  }

  /** Returns a nested object, or null if the field is absent. */
  section(name: string): Fields | null {
    if (!this.has(name)) return null;
    const value = this.raw(name);
    if (!isObject(value)) throw this.#mistyped(name, 'an object');
    return new Fields(value, this.#file, `${this.#prefix}${name}.`);
  }

  /** Makes the error for a field. `message` follows the field's path, as in "is 3, expected 4". */
  error(code: string, name: string, message: string): FormatError {
    const subject = this.#prefix + name;
    return new FormatError({ code, file: this.#file, subject, message: `${subject} ${message}` });
  }

  #read<T>(name: string, expected: string, accepts: (value: unknown) => boolean, fallback?: T): T {
    const value = this.has(name) ? this.raw(name) : fallback;
    if (!accepts(value)) throw this.#mistyped(name, expected, value);
    return value as T;
  }

  #mistyped(name: string, expected: string, value: unknown = this.raw(name)): FormatError {
    const found = value === undefined ? 'is missing' : `is ${JSON.stringify(value)}`;
    return this.error('invalid_config', name, `${found}, expected ${expected}`);
  }
}
