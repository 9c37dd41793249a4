// Single place from which commands import the API's client.
export * from '../../openapi/clients/typescript/src/index.ts';
