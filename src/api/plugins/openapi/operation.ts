/** Creates a function that makes the part of a route's schema that names its operation in the OpenAPI document. */
export function operationsOf(tag: string) {
  return (operationId: string, summary: string) => ({ tags: [tag], operationId, summary });
}
