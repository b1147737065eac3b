import { StoreError } from '../../lease-store.ts';
import { ApiError } from '../api-error.ts';

/** An answer of this API: a code and a JSON value. */
export interface Answer {
  readonly code: number;
  readonly body: unknown;
  readonly contentType?: string;
  readonly warnings?: readonly string[];
}

/** What a failure is to a client: a Status of meta.k8s.io/v1. */
export function failureAnswer(error: unknown): Answer {
  const { code, reason, message, details } = failureOf(error);
  const told = { ...details, ...(code === 429 || code === 503 ? { retryAfterSeconds: 1 } : {}) };
  return {
    code,
    body: {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      reason,
      ...(Object.keys(told).length === 0 ? {} : { details: told }),
      code,
    },
  };
}

function failureOf(error: unknown): Pick<ApiError, 'code' | 'reason' | 'message'> & { readonly details?: object } {
  if (error instanceof ApiError) return error;
  if (error instanceof StoreError) {
    const code = error.httpStatus ?? (error.outcome === 'rejected' && error.retryable ? 503 : 500);
    return { code, reason: REASONS[code] ?? 'InternalError', message: error.message };
  }
  return { code: 500, reason: 'InternalError', message: error instanceof Error ? error.message : String(error) };
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  404: 'NotFound',
  409: 'Conflict',
  422: 'Invalid',
  429: 'TooManyRequests',
  503: 'ServiceUnavailable',
};
