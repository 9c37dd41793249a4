import Type from 'typebox';
import type { Prisma } from '../../../platform/database/database.ts';
import { ErrorOf } from '../../../platform/contract/schemas.ts';

/** Description of an event type and of the data that its events have. */
export interface EventDescription<D extends Type.TProperties = Type.TProperties> {
  /** Description of the event type in one sentence, for the OpenAPI document and docs/events.md. */
  readonly description: string;
  readonly data: Type.TObject<D>;
}

/**
 * Describes an event type. Later versions may add members to its data, and remove none.
 * @param title name of the data's schema if several types share it
 */
export function describeEventType<D extends Type.TProperties>(
  description: string,
  data: D,
  title?: string,
): EventDescription<D> {
  return { description, data: Type.Object(data, title === undefined ? {} : { title }) };
}

/**
 * Schema of the cause of a failure in an event's data. Beside the code and the message, its members depend on the error
 * code.
 */
export const Failure = Type.Unsafe<Prisma.InputJsonObject>(ErrorOf('Why it failed.'));

/** Creates the schema of an object with any members. `description` says where the members are described. */
export function ObjectLike(description: string) {
  return Type.Unsafe<Prisma.InputJsonObject>(Type.Object({}, { additionalProperties: true, description }));
}
