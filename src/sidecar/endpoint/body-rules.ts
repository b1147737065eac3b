import { LockkeeperError } from '../../api/codes.ts';
import { LIMITS, TOKEN_MAX } from '../../api/limits.ts';
import { assertLockId } from '../../api/lock-id.ts';
import { parseToken } from '../../api/requests.ts';

/** Rules on bodies that a JSON schema cannot say. Each throws INVALID_ARGUMENT and names the field. */

/** Entries, and bytes of the whole map as JSON. */
export function assertMetadata(metadata: Readonly<Record<string, string>> | undefined): void {
  if (metadata === undefined) return;
  const entries = Object.keys(metadata).length;
  if (entries > LIMITS.metadataEntriesMax) {
    throw invalid(
      'metadata',
      `The field metadata has ${entries} entries; at most ${LIMITS.metadataEntriesMax} are allowed.`,
    );
  }
  const bytes = Buffer.byteLength(JSON.stringify(metadata));
  if (bytes > LIMITS.metadataBytesMax) {
    throw invalid(
      'metadata',
      `The field metadata has ${bytes} bytes as JSON; at most ${LIMITS.metadataBytesMax} are allowed.`,
    );
  }
}

/** The schema has made sure of 1 to 16 digits. */
export function assertToken(fencingToken: string, field = 'fencingToken'): void {
  if (parseToken(fencingToken) !== undefined) return;
  throw invalid(
    field,
    `The field ${field} must be at most ${TOKEN_MAX} (2^53 - 1). Send the token of the grant, unchanged.`,
  );
}

/** A renewal without end would outlive the caller that asked for it. */
export function assertAutoRenewEnds(autoRenew: boolean | undefined, maxHoldMs: number | undefined): void {
  if (autoRenew !== true || maxHoldMs !== undefined) return;
  throw invalid(
    'maxHoldMs',
    'The field maxHoldMs is missing: autoRenew needs it, or a crashed caller would keep the lock for ever. Add it, or use :hold, which lasts as long as its connection.',
  );
}

/** Every id is one, and none comes twice. `fieldOf` names the one at an index. */
export function assertLockIds(lockIds: readonly string[], fieldOf: (index: number) => string): void {
  const seen = new Set<string>();
  for (const [index, lockId] of lockIds.entries()) {
    assertLockId(lockId, fieldOf(index));
    if (seen.has(lockId)) throw invalid(fieldOf(index), `The lock ${lockId} is named twice. Name each lock once.`);
    seen.add(lockId);
  }
}

function invalid(field: string, message: string): LockkeeperError {
  return new LockkeeperError('INVALID_ARGUMENT', message, { field });
}
