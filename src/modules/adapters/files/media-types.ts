import { extname } from 'node:path';

const BINARY = 'application/octet-stream';
const BY_EXTENSION: Readonly<Record<string, string>> = {
  '.json': 'application/json',
  '.md': 'text/markdown; charset=utf-8',
};

/** The types of the files of adapters. None of them is shown as a page by a browser. */
export const FILE_TYPES: readonly string[] = [BINARY, ...Object.values(BY_EXTENSION)];

export const mediaTypeOf = (name: string): string => BY_EXTENSION[extname(name)] ?? BINARY;
