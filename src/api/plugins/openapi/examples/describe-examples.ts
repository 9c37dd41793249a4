import { exampleMaker, type Schema, type Schemas } from './examples.ts';

interface Content {
  schema?: Schema;
  example?: unknown;
  examples?: Record<string, { $ref: string }>;
}
interface Message {
  content?: Record<string, Content>;
}
interface Parameter {
  name: string;
  in: string;
  schema: Schema;
  example?: unknown;
}
interface Operation {
  operationId?: string;
  parameters?: Parameter[];
  requestBody?: Message;
  responses?: Record<string, Message>;
}
interface Described {
  paths?: Record<string, Record<string, Operation>>;
  webhooks?: Record<string, Record<string, Operation>>;
  components?: {
    schemas?: Schemas;
    examples?: Record<string, { value: unknown }>;
    responses?: Record<string, Message>;
  };
}

/** Example texts for bodies that are not JSON, by their media type. */
const TEXTS: Readonly<Record<string, string>> = {
  'text/csv': 'group,id,name,jobs,ready\ntotal,,,40,38\n',
  'text/event-stream': 'id: 48213-7\nevent: rollout.completed\ndata: {"type":"rollout.completed"}\n\n',
};

/** Adds an example to every schema, parameter, body and answer of the OpenAPI document, except to binary ones. */
export function describeExamples<T>(document: T): T {
  const { paths = {}, webhooks = {}, components = {} } = document as Described;
  const { schemas = {}, responses = {} } = components;
  const maker = exampleMaker(schemas);
  const named: Record<string, { value: unknown }> = {};

  function describe({ content = {} }: Message): void {
    for (const [type, media] of Object.entries(content)) {
      const component = media.schema?.$ref?.split('/').at(-1);
      if (type in TEXTS) media.example = TEXTS[type];
      if (component === undefined) continue;
      named[component] = { value: maker.ofComponent(component) };
      media.examples = { example: { $ref: `#/components/examples/${component}` } };
    }
  }

  for (const operation of Object.values({ ...paths, ...webhooks }).flatMap((methods) => Object.values(methods))) {
    for (const parameter of operation.parameters ?? []) {
      parameter.example = maker.of(parameter.schema, { owner: operation.operationId ?? '', name: parameter.name });
    }
    for (const message of [operation.requestBody ?? {}, ...Object.values(operation.responses ?? {})]) describe(message);
  }
  for (const response of Object.values(responses)) describe(response);
  for (const [name, schema] of Object.entries(schemas)) schema.examples = [maker.ofComponent(name)];
  components.examples = named;
  return document;
}
