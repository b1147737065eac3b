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
  if (reason === PAGE_NOT_FOUND) return { code, body: `${message}\n`, contentType: 'text/plain; charset=utf-8' };
  const retry = code === 429 || code === 503 || code === 504 ? { retryAfterSeconds: 1 } : undefined;
  const known: readonly (readonly [string, unknown])[] = Object.entries({ ...details, ...retry });
  const named = known.filter(([, value]) => value !== '' && value !== undefined);
  return {
    code,
    body: {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      reason,
      ...(details === undefined && retry === undefined ? {} : { details: Object.fromEntries(named) }),
      code,
    },
  };
}

function failureOf(
  error: unknown,
): Pick<ApiError, 'code' | 'reason' | 'message'> & { readonly details?: object | undefined } {
  if (error instanceof ApiError) return error;
  if (error instanceof StoreError) {
    const code = error.httpStatus ?? (error.outcome === 'rejected' && error.retryable ? 503 : 500);
    return { code, reason: REASONS[code] ?? 'InternalError', message: error.message };
  }
  return { code: 500, reason: 'InternalError', message: error instanceof Error ? error.message : String(error) };
}

/** Where an API server has nothing at a path, not even somebody to say so in JSON. */
export const PAGE_NOT_FOUND = 'PageNotFound';

const REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  404: 'NotFound',
  409: 'Conflict',
  422: 'Invalid',
  429: 'TooManyRequests',
  503: 'ServiceUnavailable',
};
