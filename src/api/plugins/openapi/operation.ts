/**
 * Creates a function that makes the name, the summary and the tag of an operation for the OpenAPI document. All
 * operations that one such function names have the same tag.
 */
export function operationsOf(tag: string) {
  return (operationId: string, summary: string) => ({ tags: [tag], operationId, summary });
}
