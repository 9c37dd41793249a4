/** Creates the part of a route's schema that names it in the OpenAPI document. */
export function operationsOf(tag: string) {
  return (operationId: string, summary: string) => ({ tags: [tag], operationId, summary });
}
