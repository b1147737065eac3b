import { z } from 'zod';
import {
  acquireAllRequestSchema,
  acquireRequestSchema,
  forceReleaseRequestSchema,
  holdRequestSchema,
  releaseAllRequestSchema,
  releaseRequestSchema,
  renewRequestSchema,
} from '../../api/requests.ts';
import {
  errorBodySchema,
  forceReleasedSchema,
  heldSchema,
  holderSchema,
  holdSchema,
  holdsSchema,
  lockListSchema,
  lockRecordSchema,
  releasedSchema,
  waiterSchema,
} from '../../api/responses.ts';
import { errorCodeSchema, holdEventSchema, releasedAllSchema } from './more-schemas.ts';

/** Schemas of the OpenAPI document by name; where one contains another it refers to it. */
export const COMPONENTS = {
  AcquireRequest: acquireRequestSchema,
  HoldRequest: holdRequestSchema,
  RenewRequest: renewRequestSchema,
  ReleaseRequest: releaseRequestSchema,
  ForceReleaseRequest: forceReleaseRequestSchema,
  AcquireAllRequest: acquireAllRequestSchema,
  ReleaseAllRequest: releaseAllRequestSchema,
  Hold: holdSchema,
  HoldEvent: holdEventSchema,
  Released: releasedSchema,
  ForceReleased: forceReleasedSchema,
  Held: heldSchema,
  Holder: holderSchema,
  Waiter: waiterSchema,
  LockRecord: lockRecordSchema,
  LockList: lockListSchema,
  Holds: holdsSchema,
  ReleasedAll: releasedAllSchema,
  Status: z.object({ status: z.string() }),
  Error: errorBodySchema.extend({ code: errorCodeSchema }),
} as const satisfies Record<string, z.ZodType>;

export type ComponentName = keyof typeof COMPONENTS;
