/**
 * The closed list of error codes and its projections. One total table: adding a code without deciding its HTTP status, gRPC
 * status, exit code and whether a retry can help does not compile. Codes are never reused for another meaning.
 * `docs/errors.md` explains each to a user; a test keeps the two equal.
 */
export interface CodeProjection {
  readonly httpStatus: number;
  /** Canonical gRPC status number. Several codes share one: the code itself travels in the status details. */
  readonly grpcStatus: number;
  /** Exit code of the command line; one to one, so that a shell script can tell codes apart. */
  readonly exitCode: number;
  /** Whether sending the same request again can succeed without anybody changing anything else. */
  readonly retryable: boolean;
}

export const CODES = {
  INVALID_ARGUMENT: { httpStatus: 400, grpcStatus: 3, exitCode: 64, retryable: false },
  UNAUTHENTICATED: { httpStatus: 401, grpcStatus: 16, exitCode: 65, retryable: false },
  PERMISSION_DENIED: { httpStatus: 403, grpcStatus: 7, exitCode: 66, retryable: false },
  LOCK_NOT_FOUND: { httpStatus: 404, grpcStatus: 5, exitCode: 67, retryable: false },
  ROUTE_NOT_FOUND: { httpStatus: 404, grpcStatus: 12, exitCode: 68, retryable: false },
  METHOD_NOT_ALLOWED: { httpStatus: 405, grpcStatus: 12, exitCode: 69, retryable: false },
  NOT_HELD: { httpStatus: 409, grpcStatus: 9, exitCode: 70, retryable: false },
  DEADLOCK: { httpStatus: 409, grpcStatus: 10, exitCode: 71, retryable: false },
  STALE_TOKEN: { httpStatus: 412, grpcStatus: 9, exitCode: 72, retryable: false },
  PAYLOAD_TOO_LARGE: { httpStatus: 413, grpcStatus: 3, exitCode: 73, retryable: false },
  UNSUPPORTED_MEDIA_TYPE: { httpStatus: 415, grpcStatus: 3, exitCode: 74, retryable: false },
  LOCK_HELD: { httpStatus: 423, grpcStatus: 9, exitCode: 75, retryable: true },
  ACQUIRE_TIMEOUT: { httpStatus: 423, grpcStatus: 4, exitCode: 76, retryable: true },
  QUEUE_FULL: { httpStatus: 429, grpcStatus: 8, exitCode: 77, retryable: true },
  INTERNAL: { httpStatus: 500, grpcStatus: 13, exitCode: 78, retryable: false },
  UNAVAILABLE: { httpStatus: 503, grpcStatus: 14, exitCode: 79, retryable: true },
  OUTCOME_UNKNOWN: { httpStatus: 504, grpcStatus: 14, exitCode: 80, retryable: true },
} as const satisfies Record<string, CodeProjection>;

/** One of the product's error codes. */
export type ErrorCode = keyof typeof CODES;

/** The HTTP status of a code. Not invertible: the body carries the code itself. */
export function httpStatusOf(code: ErrorCode): number {
  return CODES[code].httpStatus;
}

/** Whether the same request, sent again unchanged, can succeed. */
export function isRetryable(code: ErrorCode): boolean {
  return CODES[code].retryable;
}

/** Facts about an error, for programs: always an object, possibly empty. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/**
 * The one error class at the product's edges. Expected outcomes inside the engine are plain values; they become this class
 * where a promise must reject. `message` says what to do next.
 */
export class LockkeeperError extends Error {
  override readonly name = 'LockkeeperError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.details = details;
  }

  get retryable(): boolean {
    return isRetryable(this.code);
  }

  /** The body that every transport sends. */
  toBody(): ErrorBody {
    return { code: this.code, message: this.message, details: this.details, retryable: this.retryable };
  }

  /** Wraps anything that was thrown. A foreign error becomes INTERNAL with the original as `cause`; its text is not shown. */
  static from(thrown: unknown): LockkeeperError {
    if (thrown instanceof LockkeeperError) return thrown;
    return new LockkeeperError(
      'INTERNAL',
      'Something failed inside Lockkeeper; the log of this process has the cause. Try again, and report it if it repeats.',
      {},
      { cause: thrown },
    );
  }
}

/** Body of every error answer. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
  readonly retryable: boolean;
}
