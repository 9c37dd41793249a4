// Single place from which commands import the part of the API's client that reads and writes files.
export * from '../../openapi/clients/typescript/src/node/index.ts';
